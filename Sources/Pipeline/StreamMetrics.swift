internal import Synchronization

/// What a running stream counts; read from any thread, written by its stages.
package final class StreamMetrics: Sendable {
  let recordCount = Atomic(0)
  let batchCount = Atomic(0)
  let badRecordCount = Atomic(0)
  let inputByteCount = Atomic(0)
  let outputByteCount = Atomic(0)

  package init() {}

  /// Records emitted.
  package var records: Int { recordCount.load(ordering: .relaxed) }
  /// Batches emitted.
  package var batches: Int { batchCount.load(ordering: .relaxed) }
  /// Records left out.
  package var badRecords: Int { badRecordCount.load(ordering: .relaxed) }
  /// Bytes read from the source, as compressed as they came.
  package var bytesIn: Int { inputByteCount.load(ordering: .relaxed) }
  /// Bytes given to the sink.
  package var bytesOut: Int { outputByteCount.load(ordering: .relaxed) }
}
