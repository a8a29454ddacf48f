internal import Records

/// A partition that a source reads.
struct KafkaPartition: Sendable {
  var start: SplitStart
  var places: MessagePlaces
  /// The message of which an earlier run has read a part, and the bytes of that.
  var partlyRead: (offset: Int, byteCount: Int)?
  var isAbandoned = false
  /// The offset at which the partition ends for the source; nil if it never ends.
  var end: Int?
  /// The offset at which it ended when the source was opened.
  var firstEnd = 0

  /// Whether every message before the end was given or passed.
  func isAtEnd(seen: Int?) -> Bool { end.map { isPast($0, seen: seen) } ?? false }

  /// Whether every message before an offset was given or passed. The last ones may be none that a consumer gets.
  func isPast(_ offset: Int, seen: Int?) -> Bool {
    places.next >= offset || seen.map { $0 >= offset } ?? false
  }
}
