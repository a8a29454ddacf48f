package import Records

/// Raw rows as they were read, with the columns that are no features.
package struct RowBytes: Payload {
  package var bytes: [UInt8] = []

  package init() {}

  package var end: PayloadOffset { PayloadOffset(bytes: bytes.count) }
  package var byteCount: Int { bytes.count }

  package mutating func append(_ other: any Payload, _ part: Range<BlockOffset>, _ move: RecordMove)
  {
    guard let other = other as? RowBytes else {
      preconditionFailure("a payload of another type")
    }
    bytes += other.bytes[part.lowerBound.payload.bytes..<part.upperBound.payload.bytes]
  }

  package mutating func truncate(to end: PayloadOffset) {
    bytes.removeSubrange(end.bytes...)
  }

  package mutating func removeAll() {
    bytes.removeAll(keepingCapacity: true)
  }

  package mutating func reserve(_ end: PayloadOffset) {
    bytes.reserveCapacity(end.bytes)
  }
}
