"""Normalises the float columns of an Arrow stream by its mini-batches, with PyArrow and NumPy.

Prints the seconds that the work took, imports aside.
"""

import argparse
import time

import numpy as np
import pyarrow as pa


def normalised(values, mask, batch_size, epsilon):
    """(x - mean) / sqrt(var + epsilon) of each mini-batch, nulls left out of both."""
    result = np.empty_like(values)
    for start in range(0, len(values), batch_size):
        part, absent = values[start : start + batch_size], mask[start : start + batch_size]
        present = ~absent
        count = np.maximum(present.sum(axis=0), 1)
        mean = np.where(present, part, 0.0).sum(axis=0, dtype=np.float64) / count
        centred = part - mean
        variance = np.where(present, centred * centred, 0.0).sum(axis=0) / count
        result[start : start + batch_size] = centred / np.sqrt(variance + epsilon)
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("input")
    parser.add_argument("output")
    parser.add_argument("--compression")
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--epsilon", type=float, default=1e-5)
    arguments = parser.parse_args()

    start = time.perf_counter()
    options = pa.ipc.IpcWriteOptions(compression=arguments.compression)
    with pa.memory_map(arguments.input) as source, pa.OSFile(arguments.output, "wb") as sink:
        reader = pa.ipc.open_stream(source)
        floats = [i for i, field in enumerate(reader.schema) if field.type == pa.float32()]
        with pa.ipc.new_stream(sink, reader.schema, options=options) as writer:
            for batch in reader:
                columns = [batch.column(index) for index in floats]
                values = np.column_stack(
                    [np.frombuffer(c.buffers()[1], np.float32, len(c), 4 * c.offset) for c in columns])
                mask = np.column_stack([c.is_null().to_numpy(zero_copy_only=False) for c in columns])
                result = normalised(values, mask, arguments.batch_size, arguments.epsilon)
                arrays = list(batch.columns)
                for place, index in enumerate(floats):
                    arrays[index] = pa.array(np.ascontiguousarray(result[:, place]), mask=mask[:, place])
                writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=reader.schema))
    print(time.perf_counter() - start)


if __name__ == "__main__":
    main()
