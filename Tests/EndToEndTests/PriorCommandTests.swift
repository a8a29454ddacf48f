import Foundation
import TestSupport
import Testing

/// `normalize --prior` on the sample: what it writes, what it keeps, and what it refuses.
@Suite struct PriorCommandTests {
  private let place: Workplace
  private static let common = "--features temp,humid,pressure --precision float64"

  init() throws {
    place = try Workplace()
    let made = try place.shell(
      """
      zstd -dc '\(repositoryFile("samples/weather.csv.zst"))' > all.csv && \
      awk -F, 'NR == 1 || $1 == "JFK"' all.csv > train.csv && \
      awk -F, 'NR == 1 || $1 == "LGA"' all.csv > serve.csv && \
      $EVENKEEL fit train.csv -o train --features temp,humid,pressure --momentum cumulative
      """)
    #expect(made.exitCode == 0, "\(made.errors)")
  }

  private func shell(_ command: String, _ code: Int32 = 0) throws -> Finished {
    let run = try place.shell(command)
    #expect(run.exitCode == code, "\(command): \(run.errors)")
    return run
  }

  /// The numbers of a feature; missing ones are NaN.
  private func column(_ index: Int, of file: String) throws -> [Double] {
    String(decoding: try place.read(file), as: UTF8.self).split(separator: "\n").dropFirst().map {
      Double($0.split(separator: ",", omittingEmptySubsequences: false)[index]) ?? .nan
    }
  }

  /// The mean and the variance of each feature that a checkpoint has.
  private func moments(_ file: String) throws -> [(mean: Double, variance: Double)] {
    let shown = try place.evenkeel("inspect", "--json", file)
    let json = try #require(
      JSONSerialization.jsonObject(with: Data(shown.output)) as? [String: Any])
    let features = try #require(json["features"] as? [[String: Any]])
    return try features.map {
      let moments = try #require($0["moments"] as? [String: Any])
      return (
        try #require(moments["mean"] as? Double), try #require(moments["variance"] as? Double)
      )
    }
  }

  @Test func `the sample is normalised by the formula, and its checkpoint is that without a prior`()
    throws
  {
    _ = try shell(
      """
      for options in "" "--prior train --prior-values 400"; do
        $EVENKEEL normalize serve.csv -o "out$options.csv" \(Self.common) --momentum cumulative \
          --checkpoint-out "state$options" $options || exit
      done
      """)
    let state = "state--prior train --prior-values 400"
    let trained = try moments("train")
    #expect(try moments("state").map(\.mean) == moments(state).map(\.mean))
    #expect(try moments("state").map(\.variance) == moments(state).map(\.variance))
    for (feature, index) in [5, 7, 12].enumerated() {
      let x = try column(index, of: "serve.csv")
      let y = try column(index, of: "out--prior train --prior-values 400.csv")
      #expect(x.count == y.count && x.count > 8000)
      var (seen, next, wrong) = ([Double](), 0, [Int]())
      while next < x.count {
        let batch = x[next..<min(next + 256, x.count)]
        let n = Double(seen.count)
        var (mean, variance) = (0.0, 0.0)
        for value in seen { mean += value / n }
        for value in seen { variance += (value - mean) * (value - mean) / n }
        let (share, delta) = (n / (n + 400), mean - trained[feature].mean)
        let center: Double = trained[feature].mean + share * delta
        let within: Double = share * variance + (1 - share) * trained[feature].variance
        let spread: Double = within + share * (1 - share) * delta * delta
        for (record, value) in batch.enumerated() where !value.isNaN {
          let expected = (value - center) / (spread * (1 + 1e-5)).squareRoot()
          let distance = abs(y[next + record] - expected) / max(1, abs(expected))
          // One issue a feature, and not one a value.
          if !(distance <= 1e-11) { wrong.append(next + record) }
        }
        seen += batch.filter { !$0.isNaN }
        next += 256
      }
      #expect(wrong.isEmpty, "feature \(feature), records \(wrong.prefix(5))")
    }
    let shown = try place.evenkeel("inspect", state)
    let text = String(decoding: shown.output, as: UTF8.self)
    #expect(text.contains("prior.values 400.0"), "\(text)")
  }

  @Test func `a prior of very many values is the frozen checkpoint, to its digits`() throws {
    _ = try shell(
      """
      $EVENKEEL normalize serve.csv -o many.csv \(Self.common) --prior train --prior-values 1e18 && \
      $EVENKEEL normalize serve.csv -o none.csv \(Self.common) --prior train --prior-values 50 \
        --frozen && \
      $EVENKEEL normalize serve.csv -o frozen.csv \(Self.common) --checkpoint-in train --frozen
      """)
    // Frozen, and without moments of its own, it is exactly the checkpoint.
    #expect(try place.read("none.csv") == place.read("frozen.csv"))
    let (found, expected) = (try column(5, of: "many.csv"), try column(5, of: "frozen.csv"))
    #expect(zip(found, expected).allSatisfy { abs($0 - $1) < 1e-9 || $0.isNaN && $1.isNaN })
  }

  @Test func `a limit warns once and holds`() throws {
    let run = try shell(
      """
      awk -F, -v OFS=, 'NR > 1 { $6 += 500 } 1' serve.csv > moved.csv && \
      $EVENKEEL normalize moved.csv -o out.csv --features temp --precision float64 --prior train \
        --prior-values 100 --limit-mean 2 --limit-deviation 1.5
      """)
    let warned = run.errors.split(separator: "\n").filter { $0.contains("the limit holds") }
    #expect(warned.count == 1, "\(run.errors)")
    #expect(
      warned.first?.hasPrefix("evenkeel: warning: feature 'temp': its mean is ") == true,
      "\(run.errors)")
    let (temp, deviation) = (try moments("train")[0].mean, try moments("train")[0].variance)
    let x = try #require(try column(5, of: "moved.csv").last)
    let y = try #require(try column(5, of: "out.csv").last)
    let sigma = deviation.squareRoot()
    // The deviation lies within its bounds, between the prior's and 1.5 times it, or at one of them.
    let most = (x - (temp + 2 * sigma)) / (sigma / 1.5)
    let least = (x - (temp + 2 * sigma)) / (sigma * 1.5 * 1.001)
    #expect(y >= least && y <= most, "\(least) \(y) \(most)")
  }

  @Test func `a run that was killed resumes byte for byte, and not with another prior`() throws {
    let options = "\(Self.common) --prior p --prior-values 60 --limit-mean 1 --batch-size 64"
    let resumed =
      "$EVENKEEL normalize in.csv.zst -o out.csv --resume state --checkpoint-every 5 \(options)"
    _ = try shell(
      """
      cp train p && $EVENKEEL normalize serve.csv -o whole.csv \(options) && \
      split -b 60000 --filter='zstd -qc' serve.csv > all.zst && \
      head -c $(($(stat -c %s all.zst) - 9000)) all.zst > in.csv.zst
      """)
    _ = try shell(resumed, 65)
    _ = try shell("cat all.zst > in.csv.zst")
    _ = try shell("$EVENKEEL fit serve.csv -o p --features temp,humid,pressure")
    let other = try shell(resumed, 78)
    #expect(other.errors.contains("settings: prior: expected "), "\(other.errors)")
    _ = try shell("cp train p")
    _ = try shell(resumed)
    #expect(try place.read("out.csv") == place.read("whole.csv"))
  }

  @Test(
    arguments: [
      ("--prior gone --prior-values 5", 66, "cannot open gone: No such file or directory"),
      ("--prior all.csv --prior-values 5", 65, "all.csv: "),
      ("--prior train", 64, "--prior: expected --prior-values N, found none"),
      (
        "--prior train --prior-values 5 --momentum 0.1", 64,
        "--prior: expected a half-life in records or in event time, or momentum cumulative, found momentum 0.1"
      ),
      (
        "--prior train --prior-values 5 --features temp,dewp", 78,
        "serve.csv: the prior train: expected moments of every feature, found none of 'dewp'; "
          + "--exclude leaves a feature out, --on-mismatch match_by_name gives it no prior"
      ),
      ("--limit-mean 3", 64, "--limit-mean: expected --prior FILE, found none"),
    ] as [(String, Int32, String)])
  func `a prior that cannot be used is refused in one line`(
    options: String, code: Int32, says: String
  ) throws {
    let features = options.contains("--features") ? "" : "--features temp"
    let run = try shell("$EVENKEEL normalize serve.csv -o out.csv \(features) \(options)", code)
    #expect(run.errors.contains(says), "\(run.errors)")
    #expect(run.errors.split(separator: "\n").count == 1, "\(run.errors)")
    if code == 78 {
      _ = try shell(
        "$EVENKEEL normalize serve.csv -o out.csv \(options) --on-mismatch match_by_name")
    }
  }
}
