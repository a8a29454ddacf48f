import Foundation
import TestSupport
import Testing

/// The parts of the transform, its inverse, and the warnings about features, as the command has them.
@Suite struct TransformPartTests {
  private let place: Workplace

  init() throws {
    place = try Workplace()
    let script =
      "awk 'BEGIN { srand(7); print \"id,x,c\"; for (i = 0; i < 6000; i++) "
      + "printf \"r%d,%.6f,3\\n\", i, 50 + 4 * rand() }' > in.csv"
    #expect(try place.shell(script).exitCode == 0)
  }

  private func column(_ index: Int, of file: String) throws -> [Double] {
    String(decoding: try place.read(file), as: UTF8.self).split(separator: "\n").dropFirst().map {
      Double($0.split(separator: ",")[index]) ?? .nan
    }
  }

  @Test(arguments: ["", "--center-only", "--scale-only"])
  func `the inverse gives the values back`(parts: String) throws {
    let common = "--features x --precision float64 \(parts)"
    let run = try place.shell(
      """
      $EVENKEEL fit in.csv -o c --features x && \
      $EVENKEEL normalize in.csv -o y.csv --checkpoint-in c --frozen \(common) && \
      $EVENKEEL normalize y.csv -o x.csv --checkpoint-in c --frozen --inverse \(common)
      """)
    #expect(run.exitCode == 0, "\(run.errors)")
    let (before, middle, after) = (
      try column(1, of: "in.csv"), try column(1, of: "y.csv"), try column(1, of: "x.csv")
    )
    #expect(before != middle)
    #expect(zip(before, after).allSatisfy { abs($0 - $1) < 1e-9 })
    let mean = middle.reduce(0, +) / 6000
    #expect(parts == "--scale-only" ? mean > 30 : abs(mean) < 0.5, "\(mean)")
  }

  @Test func `the inverse is written in float64 unless a precision is given`() throws {
    let script =
      "awk 'BEGIN { print \"t\"; for (i = 0; i < 500; i++) print 1700000000 + 7 * i }' > t.csv"
    let inverse = "$EVENKEEL normalize y.csv --checkpoint-in c --frozen --inverse --features t"
    let run = try place.shell(
      """
      \(script) && $EVENKEEL fit t.csv -o c --features t && \
      $EVENKEEL normalize t.csv -o y.csv --checkpoint-in c --frozen --features t --precision float64 && \
      \(inverse) -o x.csv && \(inverse) -o short.csv --precision float32
      """)
    #expect(run.exitCode == 0, "\(run.errors)")
    #expect(
      run.errors == "evenkeel: y.csv: --inverse writes float64; --precision sets it\n",
      "\(run.errors)")
    let (before, after) = (try column(0, of: "t.csv"), try column(0, of: "x.csv"))
    #expect(zip(before, after).allSatisfy { abs($0 - $1) < 1e-5 } && after.count == 500)
    #expect(try column(0, of: "short.csv").allSatisfy { Double(Float($0)) == $0 })
  }

  @Test func `the inverse of Arrow keeps the widths, and says so`() throws {
    let run = try place.shell(
      """
      awk 'BEGIN { print "t"; for (i = 0; i < 500; i++) print 1700000000 + 7 * i }' > t.csv && \
      $EVENKEEL normalize t.csv -o y.arrow --features t --checkpoint-out c 2> /dev/null && \
      $EVENKEEL normalize y.arrow -o x.arrow --checkpoint-in c --frozen --inverse --features t && \
      $EVENKEEL normalize x.arrow --output-format csv -o x.csv --features t --preset sklearn --frozen \
        --precision float64 2> /dev/null
      """)
    #expect(run.exitCode == 0, "\(run.errors)")
    #expect(
      run.errors
        == "evenkeel: y.arrow: --inverse writes features of Arrow with the width that they have\n",
      "\(run.errors)")
    #expect(try column(0, of: "x.csv").allSatisfy { Double(Float($0)) == $0 })
  }

  @Test(
    arguments: [
      ("--inverse", 64, "--inverse: expected frozen moments in mode running"),
      (
        "--inverse --frozen", 78,
        "expected a transform of feature 'x' that can be undone, found no moments"
      ),
      ("--center-only --scale-only", 64, "--scale-only: "),
      (
        "--scale-only --mode renorm", 64,
        "--scale-only: expected mode running or batch, found renorm"
      ),
    ] as [(String, Int32, String)])
  func `a transform that cannot be undone or done is refused`(
    options: String, code: Int32, says: String
  ) throws {
    let run = try place.shell("$EVENKEEL normalize in.csv -o out.csv --features x \(options)")
    #expect(run.exitCode == code)
    #expect(run.errors.contains(says), "\(run.errors)")
  }

  @Test func `warnings and clipped values are told, in the summary and by inspect too`() throws {
    let run = try place.shell(
      "$EVENKEEL normalize in.csv -o out.csv --features x,c --clip 1.5 --checkpoint-out c "
        + "--json-summary")
    #expect(run.exitCode == 0, "\(run.errors)")
    let lines = run.errors.split(separator: "\n")
    let warning = "feature 'c': all of its 5120 values are 3.0, so that each becomes β"
    #expect(
      lines.filter { $0.contains("values are 3.0") && !$0.hasPrefix("{") } == [
        "evenkeel: warning: \(warning)"
      ])
    let summary = try #require(
      JSONSerialization.jsonObject(with: Data((lines.last ?? "").utf8)) as? [String: Any])
    let whole = warning.replacing("5120", with: "6000")
    #expect(summary["warnings"] as? [String] == [whole])
    let clipped = try #require(summary["clipped"] as? [String: Int])
    #expect(clipped.keys.sorted() == ["x"] && clipped["x"] ?? 0 > 100)
    let shown = String(decoding: try place.evenkeel("inspect", "c").output, as: UTF8.self)
    #expect(shown.contains("warning: \(whole)\n"), "\(shown)")
    #expect(shown.contains("missing  clipped\n"), "\(shown)")
  }
}
