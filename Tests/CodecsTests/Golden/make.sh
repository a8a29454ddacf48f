#!/bin/sh
# Makes the golden files beside it, with the zstd command line (1.5).
set -eu
cd "$(dirname "$0")"
samples=$(mktemp -d)
trap 'rm -rf "$samples"' EXIT

# stations.dict, and a stream that cannot be read without it.
for i in $(seq 1 200); do
  {
    echo 'time,station,temperature,humidity,pressure'
    for j in 1 2 3; do
      echo "2024-01-$j""T00:00:00Z,station-$((i * 37 % 11)),$((i * j % 40)).$((i % 10)),$((i % 100)),10$((i % 30)).5"
    done
  } >"$samples/$i.csv"
done
zstd -q -f --train "$samples"/*.csv --maxdict=1024 --dictID=20240101 -o stations.dict
cp "$samples/7.csv" stations.csv
zstd -q -f -19 -D stations.dict stations.csv -o stations.csv.zst

# A frame whose window is 1 GiB: input of unknown length keeps the window that is asked for.
printf 'a,b\n1,2\n3,4\n' | zstd -q -f -1 --zstd=wlog=30 --long=30 -o long-window.csv.zst
