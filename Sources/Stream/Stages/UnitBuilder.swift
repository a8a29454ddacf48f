internal import Codecs
internal import Records

/// Gathers normalised records into units that are worth a frame of their own.
///
/// What counts is what depends on the records alone, so that units are cut alike in every run.
struct UnitBuilder: Sendable {
  private let precision: Precision
  private let greatestBytes: Int
  var encoder: (any RecordEncoder)?
  /// The unit under way.
  var unit = NormalizedUnit()
  /// Units that are large enough to be sent.
  private var full: [NormalizedUnit] = []

  /// - Parameters:
  ///   - precision: the width of the numbers in the output.
  ///   - greatestBytes: the bytes after which a unit is sent.
  init(precision: Precision, greatestBytes: Int) {
    self.precision = precision
    self.greatestBytes = greatestBytes
  }

  /// Takes the slices of a batch that changes no more.
  mutating func append(_ batch: RecordBlock) {
    batch.forEachSlice { slice in
      if unit.byteCount >= greatestBytes { endUnit() }
      unit.byteCount += slice.byteCount(precision)
      unit.slices.append(slice)
    }
  }

  /// Counts the records between two places, whose slice is appended later.
  mutating func count(
    _ records: RecordBlock, from start: RecordBlock.Boundary, to end: RecordBlock.Boundary
  ) {
    unit.byteCount += records.byteCount(from: start, to: end, precision)
  }

  /// Whether the unit is large enough, or must not wait.
  var isDue: Bool {
    unit.byteCount >= greatestBytes || unit.rejected.count >= 64 || unit.checkpoint != nil
  }

  /// Sends what is due.
  mutating func sendDue(_ emit: (consuming NormalizedUnit) -> Void) {
    if isDue {
      send(emit)
    } else {
      sendFull(emit)
    }
  }

  /// Sends all.
  mutating func send(_ emit: (consuming NormalizedUnit) -> Void) {
    endUnit()
    sendFull(emit)
  }

  /// The next unit has room at once for as much as this one held.
  private mutating func endUnit() {
    let (slices, cuts) = (unit.slices.count, unit.cuts.count)
    full.append(unit)
    unit = NormalizedUnit()
    unit.slices.reserveCapacity(slices)
    unit.cuts.reserveCapacity(cuts)
  }

  private mutating func sendFull(_ emit: (consuming NormalizedUnit) -> Void) {
    for var unit in full {
      unit.encoder = encoder
      emit(unit)
    }
    full.removeAll(keepingCapacity: true)
  }
}
