package import Dataflow
internal import Glibc
package import Records
package import Storage

/// Keeps the output in memory, up to a limit.
package final class MemorySink: ByteSink, @unchecked Sendable {
  // @unchecked because every stored variable is only touched with `lock` held.
  package let name = "output"
  private let limit: Int
  private let lock = Lock()
  private var taken: [UInt8] = []
  private var epilogue: [UInt8] = []
  private var prologueByteCount: Int?

  /// - Parameter limit: the most bytes that it keeps.
  package init(limit: Int) { self.limit = limit }

  /// The bytes so far.
  package var bytes: [UInt8] { lock.withLock { taken } }

  /// The bytes before the first record.
  package var prologue: [UInt8] {
    lock.withLock { Array(taken.prefix(prologueByteCount ?? 0)) }
  }

  package func begin(
    _ prologue: [UInt8], endingWith epilogue: (any Epilogue)?
  ) throws(FileError) {
    let end = try streamed(epilogue)
    lock.withLock {
      self.epilogue = end
      prologueByteCount = prologueByteCount ?? prologue.count
    }
    try write(prologue)
  }

  /// - Throws: EFBIG if the bytes would exceed the limit.
  package func write(_ bytes: [UInt8]) throws(FileError) {
    let fits = lock.withLock {
      guard bytes.count <= limit - taken.count else { return false }
      taken += bytes
      return true
    }
    if !fits { throw FileError(operation: .write, path: name, errno: EFBIG) }
  }

  package func push() throws(FileError) -> Awaiting? { nil }
  package func end() throws(FileError) { try write(lock.withLock { epilogue }) }
  package func finish() throws(FileError) {}
}
