package import Records

extension File {
  /// Writes an epilogue at the file's own position, which is its end.
  ///
  /// - Parameter byteCount: the length of the file.
  package func write(_ epilogue: any Epilogue, after byteCount: Int) throws(FileError) {
    try write(bytes(of: epilogue, after: byteCount))
  }

  /// The bytes of an epilogue after the first bytes of the file.
  package func bytes(
    of epilogue: any Epilogue, after byteCount: Int
  ) throws(FileError) -> [UInt8] {
    var epilogue = epilogue
    while let range = epilogue.wants(ofBytes: byteCount) {
      epilogue.take(try bytes(from: range.lowerBound, count: range.count))
    }
    return epilogue.bytes
  }
}
