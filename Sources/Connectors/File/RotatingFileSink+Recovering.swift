internal import Dataflow
package import Records
package import Storage

/// Takes over the file of a run that was killed.
extension RotatingFileSink {
  package mutating func trim(
    after position: OutputPosition, wholeEnd: WholeEnd
  ) throws(FileError) -> OutputPosition? {
    // Nothing may follow an epilogue: the output goes on in a new file.
    guard position.hasEpilogue != true else { return nil }
    // A file that was begun after `position` is checked from its start.
    let start = self.position.sequence > position.sequence ? 0 : position.byteCount
    guard self.position.byteCount >= start else { return nil }
    self.position.byteCount = try wholeEnd(file, start, self.position.byteCount)
    let isEmpty = self.position.byteCount == 0
    self.position.firstWriteSeconds =
      isEmpty ? nil : position.firstWriteSeconds ?? clock.wallSeconds()
    try cut(to: self.position)
    // The next checkpoint, which clears this, may not come before a crash.
    self.position.mayDiffer = isEmpty ? nil : true
    return self.position
  }

  package mutating func completeOldOutput(
    _ missingEnd: MissingEnd
  ) throws(FileError) -> Int? {
    guard !goesOn, position.byteCount > 0, let end = try missingEnd(file, position.byteCount)
    else { return nil }
    let removed = position.byteCount - end.wholeBytes
    try file.truncate(to: end.wholeBytes)
    try file.seek(to: end.wholeBytes)
    if end.wholeBytes > 0 { try file.write(end.epilogue, after: end.wholeBytes) }
    try file.sync()
    position.byteCount = try file.status().size
    return removed
  }
}
