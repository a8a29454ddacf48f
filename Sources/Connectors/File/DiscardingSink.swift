package import Dataflow
package import Records
package import Storage

/// Drops all output: for a run that is only to learn the state.
package struct DiscardingSink: ByteSink {
  package let name = "no output"

  package init() {}

  package mutating func begin(
    _ prologue: [UInt8], endingWith epilogue: (any Epilogue)?
  ) throws(FileError) {}
  package mutating func write(_ bytes: [UInt8]) throws(FileError) {}
  package mutating func write(pieces: [[UInt8]]) throws(FileError) {}
  package mutating func push() throws(FileError) -> Awaiting? { nil }
  package mutating func finish() throws(FileError) {}
}
