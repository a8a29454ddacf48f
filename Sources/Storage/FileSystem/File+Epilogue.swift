package import Records

extension File {
  /// Writes an epilogue at the file's own position, which is its end.
  ///
  /// - Parameter byteCount: the length of the file.
  package func write(_ epilogue: any Epilogue, after byteCount: Int) throws(FileError) {
    var epilogue = epilogue
    while let range = epilogue.wants(ofBytes: byteCount) {
      epilogue.take(try bytes(from: range.lowerBound, count: range.count))
    }
    try write(epilogue.bytes)
  }
}
