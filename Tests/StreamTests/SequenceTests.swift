import BatchNormalization
import Codecs
import Configuration
import Connectors
import Records
import Storage
import TestSupport
import Testing

@testable import Stream

/// The configuration of sources that are read one after another.
@Suite struct SequenceTests {
  private static func text(_ source: String, sink: String = "stdout") -> String {
    """
    state_directory: /state
    streams:
      s:
        source: \(source)
        format: csv
        sink: \(sink)
    """
  }

  @Test func `a sequence is one source with the parts in their order`() throws {
    let stream = try onlyStream(
      Self.text(
        "{ sequence: [ { file: { path: /a.csv } }, { directory: { path: /old, pattern: '*.csv' } }, "
          + "{ follow: { path: /live.csv } } ] }"))
    #expect(stream.source.kind.name == "sequence" && stream.source.kind.isLive)
    #expect(stream.source.kind.splits == .files)
    #expect(stream.source.parts.map(\.kind.name) == ["file", "directory", "follow"])
    #expect(stream.source.location.path == "/live.csv")
    #expect(stream.source.locations.map(\.path) == ["/a.csv", "/old", "/live.csv"])
    #expect(stream.source.kind.descriptorCount == 5)
    // Another part is another stream.
    let other = try onlyStream(
      Self.text("{ sequence: [ { file: { path: /b.csv } }, { follow: { path: /live.csv } } ] }"))
    let third = try onlyStream(
      Self.text("{ sequence: [ { file: { path: /c.csv } }, { follow: { path: /live.csv } } ] }"))
    #expect(other.fingerprint != third.fingerprint)
  }

  @Test(arguments: [
    ("sequence", "source: expected a list of 2 to 16 sources in sequence, found nothing"),
    ("{ sequence: follow }", "source.sequence: expected a list of 2 to 16 sources, found 'follow'"),
    (
      "{ sequence: [ { follow: { path: /a } } ] }",
      "source.sequence: expected a list of 2 to 16 sources, found one of 1"
    ),
    (
      "{ sequence: [ stdin, stdin ] }",
      "source.sequence: expected a list of 2 to 16 sources, found 'stdin' in the list"
    ),
    (
      "{ sequence: [ { follow: { path: /a } }, { follow: { path: /b } } ] }",
      "source.sequence[0]: expected a source that ends, file or directory, before the last one, found follow"
    ),
    (
      "{ sequence: [ { file: { path: /a } }, { file: { path: /b } } ] }",
      "source.sequence[1]: expected a source that goes on and can be read again, follow or directory, as the last "
        + "one, found file"
    ),
    (
      "{ sequence: [ { file: { path: /a } }, { unix: { path: /b } } ] }",
      "source.sequence[1]: expected a source that goes on and can be read again"
    ),
    (
      "{ sequence: [ { file: { path: /a/x.csv } }, { directory: { path: /a, pattern: \"*.csv\" } } ] }",
      "source.sequence[1]: expected a directory whose pattern leaves out the files of earlier sources, found '/a/x.csv'"
    ),
    (
      "{ sequence: [ { file: { path: /a } }, { follow: { path: /a } } ] }",
      "source.sequence[1]: expected another path than that of an earlier source, found the same"
    ),
    (
      "{ sequence: [ { file: { path: /a } }, { follow: { path: /b, start: end } } ] }",
      "source.sequence[1]: expected start: beginning in a sequence, found end"
    ),
    (
      "{ sequence: [ { sequence: [] }, { follow: { path: /a } } ] }",
      "source.sequence[0].sequence: expected a source, found a sequence in a sequence"
    ),
    (
      "{ sequence: [ { flie: { path: /a } }, { follow: { path: /a } } ] }",
      "source.sequence[0].flie: unknown key; did you mean 'file'?"
    ),
    (
      "{ sequence: [ { file: { path: /a } }, { follow: { path: /b, start: middle } } ] }",
      "source.sequence[1].follow.start: expected one of beginning, end, found 'middle'"
    ),
  ])
  func `a sequence that cannot be is refused at its place`(source: String, says: String) throws {
    let errors = try configurationErrors(Self.text(source))
    #expect(errors.count == 1, "\(errors)")
    #expect("\(errors.first.map { "\($0)" } ?? "")".contains(says), "\(errors)")
  }

  @Test func `no part may be the sink, or a directory with the sink in it`() throws {
    let source =
      "{ sequence: [ { directory: { path: /old } }, { follow: { path: /live.csv } } ] }"
    for (sink, says) in [
      ("{ file: { path: /live.csv } }", "expected a sink other than the source"),
      ("{ file: { path: /old/out.csv } }", "expected a sink outside the directory of the source"),
    ] {
      let errors = try configurationErrors(Self.text(source, sink: sink))
      #expect(errors.count == 1 && "\(errors[0])".contains(says), "\(errors)")
    }
  }
}
