import Testing

@testable import Records

@Suite struct FeatureColumnsTests {
  @Test func `the values of a feature stand side by side, a column's capacity apart`() {
    var batch = FeatureColumns(featureCount: 3, capacity: 4, precision: .float64)
    batch.count = 2
    batch.withFloat64Columns { columns in
      for index in columns.indices { columns[index] = Double(index) }
    }
    #expect(batch[record: 0, feature: 0] == 0)
    #expect(batch[record: 1, feature: 0] == 1)
    #expect(batch[record: 0, feature: 1] == 4)
    #expect(batch[record: 1, feature: 2] == 9)
  }

  @Test(arguments: Precision.allCases)
  func `a batch starts empty, with room for its capacity`(precision: Precision) {
    let batch = FeatureColumns(featureCount: 3, capacity: 5, precision: precision)
    #expect(batch.count == 0)
    #expect(batch.featureCount == 3)
    #expect(batch.capacity == 5)
    #expect(batch.precision == precision)
    #expect(batch.byteCount == 15 * precision.byteCount)
  }

  @Test func `columns of either width change in place`() {
    var narrow = FeatureColumns(featureCount: 1, capacity: 2, precision: .float32)
    let sum = narrow.withFloat32Columns { columns -> Float in
      columns[1] = 0.1
      return columns.reduce(0, +)
    }
    #expect(sum == 0.1)
    #expect(narrow.precision == .float32)
    #expect(narrow[record: 1, feature: 0] == Double(Float(0.1)))
    var wide = FeatureColumns(featureCount: 1, capacity: 2, precision: .float64)
    wide.withFloat64Columns { $0[1] = 0.1 }
    #expect(wide[record: 1, feature: 0] == 0.1)
  }

  @Test func `a change stays even if its closure throws`() {
    struct Refused: Error {}
    var batch = FeatureColumns(featureCount: 1, capacity: 1, precision: .float64)
    #expect(throws: Refused.self) {
      try batch.withFloat64Columns { columns throws(Refused) in
        columns[0] = 7
        throw Refused()
      }
    }
    #expect(batch[record: 0, feature: 0] == 7)
    var narrow = FeatureColumns(featureCount: 1, capacity: 1, precision: .float32)
    #expect(throws: Refused.self) {
      try narrow.withFloat32Columns { columns throws(Refused) in
        columns[0] = 7
        throw Refused()
      }
    }
    #expect(narrow[record: 0, feature: 0] == 7)
  }

  @Test func `a copy is not changed with the original`() {
    var batch = FeatureColumns(featureCount: 1, capacity: 1, precision: .float64)
    let copy = batch
    batch.withFloat64Columns { $0[0] = 1 }
    #expect(copy[record: 0, feature: 0] == 0)
  }

  @Test func `numbers have four or eight bytes`() {
    #expect(Precision.float32.byteCount == 4)
    #expect(Precision.float64.byteCount == 8)
    #expect(Precision(rawValue: "float64") == .float64)
    #expect(Precision(rawValue: "double") == nil)
  }
}
