import Configuration
import Records
import Testing

@testable import Codecs

/// The header of a later split: that of the stream in other bytes, in another order, or another one.
@Suite struct CSVColumnsTests {
  private static let first = "id,temp,humid\n1,2,3\n"

  /// The opening of a stream with two of three columns as features.
  private func opening(_ text: String = first) throws -> StreamOpening {
    let reading = try FormatReading(csv: text) {
      $0.features = [FeaturePattern("temp"), FeaturePattern("humid")]
    }
    return try #require(reading.outcome.opening)
  }

  /// Reads a later split of the stream.
  private func later(
    _ text: String, header: HeaderPlace = .expected, of opening: StreamOpening? = nil,
    comment: UInt8? = nil
  ) throws -> FormatReading {
    let known = try opening ?? self.opening()
    return try FormatReading(csv: text) {
      $0.opening = known
      $0.header = header
      $0.features = known.schema.names.map { FeaturePattern(name: $0) }
      if let comment { $0.settings[CSVSettings.comment] = comment }
    }
  }

  // MARK: The same names

  @Test(arguments: [
    "id,temp,humid\n", "id,temp,humid\r\n", "\u{FEFF}id,temp,humid\n",
    "\"id\",\"temp\",\"humid\"\r\n", " id ,\ttemp, humid\t\n", "\u{FEFF}\" id \",temp,\"humid\"\n",
    "\n\nid,temp,humid\n",
  ])
  func `the same names in other bytes are the columns of the stream`(header: String) throws {
    let reading = try later(header + "7,8,9\r\n")
    let (known, found) = (try opening(), try #require(reading.outcome.opening))
    #expect(found.columns == known.columns && found.schema == known.schema)
    #expect(reading.rows == [[8, 9]])
    #expect(reading.faults.isEmpty)
    // The bytes of this header are not those of the stream.
    #expect(found.prologue == Array(header.utf8))
  }

  @Test func `blanks and case within names tell them apart`() throws {
    for header in ["id,te mp,humid\n", "id,Temp,humid\n", "id,temp,humi\n"] {
      let reading = try later(header + "7,8,9\n")
      #expect(
        reading.outcome.openingFault != nil
          || reading.outcome.opening?.columns != ["id", "temp", "humid"])
    }
    // Composed and decomposed letters are other bytes.
    let known = try opening("id,temp,humid,\u{E9}\n1,2,3,4\n")
    let found = try later("id,temp,humid,e\u{301}\n1,2,3,4\n", of: known)
    #expect(!areSame(found.outcome.opening?.columns ?? [], known.columns))
  }

  @Test func `names whose blanks are those of the stream keep its spelling`() throws {
    let known = try opening("id, temp ,humid\n1,2,3\n".replacing(" temp ", with: "temp"))
    #expect(CSVColumns.spelled(["b ", "\ta", "c"], as: [" a", "b"]) == ["b", " a", "c"])
    // Of two columns with one name, the first gives the spelling.
    #expect(CSVColumns.spelled(["a", "a"], as: ["a ", " a"]) == ["a ", "a "])
    #expect(known.columns == ["id", "temp", "humid"])
  }

  // MARK: Other columns

  @Test(
    arguments: [
      (["humid", "id", "temp"], "7,8,9\n", [9.0, 7.0]),
      (["id", "more", "temp", "humid"], "7,8,9,10\n", [9, 10]),
      (["temp", "humid"], "8,9\n", [8, 9]),
    ] as [([String], String, [Double])])
  func `another order, or more or fewer columns, are told, and features are found by name`(
    columns: [String], row: String, values: [Double]
  ) throws {
    let reading = try later(columns.joined(separator: ",") + "\n" + row)
    let found = try #require(reading.outcome.opening)
    // The stream decides with these: to fail, to skip, or to begin a file.
    #expect(found.columns == columns)
    #expect(found.schema.names == ["temp", "humid"])
    #expect(reading.rows == [values])
  }

  @Test func `columns without one of the features are told with their own names`() throws {
    let found = try #require(try later("id,temp,other\n7,8,9\n").outcome.opening)
    #expect(found.columns == ["id", "temp", "other"])
    #expect(found.schema.names == ["temp", "humid"])
  }

  // MARK: A split that may begin with a record

  @Test(arguments: ["7,8,9\n", "\u{FEFF}7,8,9\n", "\n7,8,9\n", "\"7\",8,9\n", "x,,NA\n"])
  func `a first line without a name of a column is a record`(text: String) throws {
    let reading = try later(text, header: .optional)
    #expect(reading.outcome.opening?.columns == ["id", "temp", "humid"])
    #expect(reading.rows.count == 1 && reading.faults.isEmpty)
  }

  @Test func `a comment before such a record stays before it`() throws {
    let reading = try later("# emptied\n7,8,9\n", header: .optional, comment: UInt8(ascii: "#"))
    #expect(reading.rows == [[8, 9]])
    #expect(reading.faults.isEmpty)
  }

  @Test(arguments: ["id,temp,humid\n", " id,\"temp\",humid\r\n", "humid,temp,id\n", "temp,other\n"])
  func `a first line with a name of a column is a header`(header: String) throws {
    let reading = try later(header, header: .optional)
    #expect(reading.rows == [])
    #expect(reading.outcome.opening?.prologue == Array(header.utf8))
  }

  @Test func `a first line of another length is a bad record, not a header`() throws {
    let reading = try later("7,8\n7,8,9\n", header: .optional)
    #expect(reading.faults == ["expected 3 fields, found 2"])
    #expect(reading.rows == [[8, 9]])
  }

  @Test func `a first line of words is a header of other columns`() throws {
    let reading = try later("a,b,c\n7,8,9\n", header: .optional)
    #expect(reading.outcome.opening?.columns == ["a", "b", "c"])
  }
}
