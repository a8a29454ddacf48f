internal import Records

/// Finds the role columns of an Arrow schema.
extension DecoderOptions {
  /// The columns of the roles, in their order.
  ///
  /// - Throws: if a role has no column of its own, or one that has no text.
  func roleColumns(
    of schema: ArrowSchema, _ features: ArrowFeatures
  ) throws(RecordFault) -> [ArrowScalarColumn] {
    guard !roles.isEmpty else { return [] }
    let places = try rolePlaces(in: features.names, features: features.schema.names)
    let scalars = ArrowScalars(schema, features.schema).sources
    var found: [ArrowScalarColumn] = []
    for (role, place) in zip(roles, places) {
      let name = features.names[place]
      guard let column = scalars.first(where: { areSame($0.name, name) }) else {
        throw RecordFault(
          expected:
            "a number, a boolean, a time or a text in column \(quoted(name)) of \(role.key)",
          found: "another Arrow type")
      }
      found.append(column)
    }
    return found
  }
}
