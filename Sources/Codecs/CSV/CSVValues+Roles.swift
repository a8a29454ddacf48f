internal import Records

/// Reads the role columns of CSV.
extension CSVValues {
  /// Reads the value of a role in a field.
  func read(
    _ role: RoleColumn, _ base: UnsafePointer<UInt8>, _ field: CSVFields.Field,
    into roles: inout RecordRoles
  ) throws(RecordFault) {
    try role.read(
      UnsafeBufferPointer(start: base + field.start, count: field.end - field.start),
      decimal: decimal, into: &roles)
  }

  /// Reads the roles of plain records, which have no quotes, up to the first with a bad one.
  ///
  /// - Parameters:
  ///   - columns: the role of each column, or -1.
  ///   - take: gets the number of the record, from 0, and its roles.
  /// - Returns: the good records, and their bytes.
  func roles(
    ofPlain bytes: UnsafeBufferPointer<UInt8>, _ columns: [Int], _ roles: [RoleColumn],
    take: (_ record: Int, _ roles: RecordRoles) -> Void
  ) -> (records: Int, bytes: Int) {
    guard let base = bytes.baseAddress else { return (0, 0) }
    var good = (records: 0, bytes: 0)
    while good.bytes < bytes.count {
      var told = RecordRoles()
      var place = good.bytes
      for role in columns {
        let start = place
        while bytes[place] != fields.delimiter, bytes[place] != 0x0A { place += 1 }
        if role >= 0 {
          var end = place
          if bytes[place] == 0x0A, end > start, bytes[end - 1] == 0x0D { end -= 1 }
          let field = CSVFields.Field(start: start, end: end, next: place, isQuoted: false)
          guard (try? read(roles[role], base, field, into: &told)) != nil else { return good }
        }
        place += 1
      }
      take(good.records, told)
      good.records += 1
      good.bytes = place
    }
    return good
  }
}
