internal import Codecs
internal import Records

/// Gathers normalised records into units of the size of a frame.
///
/// The end of a unit depends only on the records, so every run has the same units.
struct UnitBuilder: Sendable {
  /// The most splits that begin in a unit.
  private static let mostBegun = 256

  private let precision: Precision
  private let greatestBytes: Int
  var encoder: (any RecordEncoder)?
  /// The unit that grows.
  var unit = OutputUnit()
  /// Complete units that were not sent yet.
  private var full: [OutputUnit] = []
  /// Whether the last part counted ends within records that the encoder writes as a whole.
  private var isInsideUnit = false

  /// - Parameters:
  ///   - precision: the width of the numbers in the output.
  ///   - greatestBytes: the number of bytes at which a unit is sent.
  init(precision: Precision, greatestBytes: Int) {
    self.precision = precision
    self.greatestBytes = greatestBytes
  }

  /// Adds a block that will not change.
  mutating func append(_ block: RecordBlock) {
    var part = BlockOffset()..<BlockOffset()
    block.forEachPart { next in
      if !isInsideUnit, unit.byteCount >= greatestBytes {
        add(block, part)
        endUnit()
        part = next.lowerBound..<next.lowerBound
      }
      count(block, next)
      part = part.lowerBound..<next.upperBound
    }
    add(block, part)
  }

  /// Counts a part of a block that will be added later.
  mutating func count(_ block: RecordBlock, _ part: Range<BlockOffset>) {
    unit.byteCount += block.byteCount(of: part, precision)
    isInsideUnit = block.payload.isInsideUnit(at: part.upperBound.payload)
  }

  /// Adds a part of a block that was counted.
  mutating func add(_ block: RecordBlock, _ part: Range<BlockOffset>) {
    if !part.isEmpty { unit.blocks.append(part == block.all ? block : block.selecting(part)) }
  }

  /// Adds events that leave with the records so far.
  mutating func add(_ events: [StreamEvent]) {
    unit.events += events
    unit.byteCount += events.byteCount
  }

  /// Whether the unit is large enough, or must not wait.
  var isDue: Bool {
    !isInsideUnit
      && (unit.byteCount >= greatestBytes || unit.events.count >= 64
        || unit.begun.count >= Self.mostBegun || unit.barrier != nil)
  }

  /// Sends the units that are due.
  mutating func sendDue(_ emit: (consuming OutputUnit) -> Void) {
    if isDue {
      send(emit)
    } else {
      sendFull(emit)
    }
  }

  /// Sends all units.
  mutating func send(_ emit: (consuming OutputUnit) -> Void) {
    endUnit()
    sendFull(emit)
  }

  /// Begins the next unit, with the capacity of this one for blocks and cuts.
  private mutating func endUnit() {
    let (blocks, cuts) = (unit.blocks.count, unit.cuts.count)
    full.append(unit)
    unit = OutputUnit()
    unit.blocks.reserveCapacity(blocks)
    unit.cuts.reserveCapacity(cuts)
  }

  private mutating func sendFull(_ emit: (consuming OutputUnit) -> Void) {
    for var unit in full {
      unit.encoder = encoder
      emit(unit)
    }
    full.removeAll(keepingCapacity: true)
  }
}
