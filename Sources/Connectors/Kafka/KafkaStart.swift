internal import Records
internal import Storage

/// The place at which a partition without a checkpoint begins.
enum KafkaStart: Sendable, Equatable {
  case earliest
  case latest
  /// The first message that is not older, in milliseconds since 1970.
  case time(milliseconds: Int)
  case offset(Int)

  /// - Returns: nil for another text.
  init?(_ text: String) {
    switch text {
    case "earliest": self = .earliest
    case "latest": self = .latest
    default:
      guard let seconds = Self.seconds(text) else { return nil }
      self = .time(milliseconds: seconds * 1000)
    }
  }

  /// The seconds since 1970 of a time such as `2026-11-01T06:30:00Z`.
  private static func seconds(_ text: String) -> Int? {
    let bytes = Array(text.utf8)
    let form = Array("dddd-dd-ddTdd:dd:ddZ".utf8)
    guard bytes.count == form.count else { return nil }
    for (byte, expected) in zip(bytes, form) {
      let isDigit = (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
      guard expected == UInt8(ascii: "d") ? isDigit : byte == expected else { return nil }
    }
    let numbers = text.split { !$0.isNumber }.compactMap { Int($0) }
    guard numbers.count == 6, (1...12).contains(numbers[1]), (1...31).contains(numbers[2]),
      numbers[3] < 24, numbers[4] < 60, numbers[5] < 60
    else { return nil }
    let date = CivilDate(year: numbers[0], month: numbers[1], day: numbers[2])
    // The 30th of February is another day.
    guard CivilDate(days: date.days) == date else { return nil }
    return date.days * 86400 + numbers[3] * 3600 + numbers[4] * 60 + numbers[5]
  }

  var text: String {
    switch self {
    case .earliest: "earliest"
    case .latest: "latest"
    case .time(let milliseconds):
      EventTime.text(nanoseconds: Int64(milliseconds) * 1_000_000)
    case .offset(let offset): "\(offset)"
    }
  }
}

/// The offset from which a partition is read, and the messages of it that are gone.
struct PartitionStart: Sendable, Equatable {
  /// The offset of the first message to read.
  var offset: Int
  /// The number of messages that were removed before they were read.
  var lost = 0
  /// The reason why nobody can tell what would be read.
  var refusal: String?

  /// The start of a partition that an earlier run read up to an offset.
  init(resuming offset: Int, of name: String, watermarks: (low: Int, high: Int)) {
    self.offset = offset
    if offset > watermarks.high {
      refusal =
        "\(name): the topic ends at offset \(watermarks.high), before offset \(offset), up to which it was read: "
        + "it was made again, or a broker has lost messages"
    } else if offset < watermarks.low {
      self.offset = watermarks.low
      lost = watermarks.low - offset
    }
  }

  /// The start of a partition that nobody has read.
  init(
    _ start: KafkaStart, of partition: Int, watermarks: (low: Int, high: Int),
    in log: any MessageLog
  ) throws(FileError) {
    switch start {
    case .earliest: offset = watermarks.low
    case .latest: offset = watermarks.high
    case .time(let milliseconds):
      offset = try log.offset(of: partition, atMilliseconds: milliseconds) ?? watermarks.high
    case .offset(let first): offset = first
    }
  }
}
