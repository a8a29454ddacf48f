/// The start of a stream: its features, its columns and the bytes before its records.
package struct StreamOpening: Sendable, Equatable, Codable {
  /// The features, in the order in which they are in blocks.
  package var schema: FeatureSchema
  /// The names of all columns, in the order of the records. If records name their own values: the positions of
  /// features, with all values of a vector.
  package var columns: [String]
  /// The bytes before the first record, which pass unchanged: a byte order mark, a header line.
  package var prologue: [UInt8]
  /// The columns of an output of another format that has all columns, if the first records told them; nil if
  /// `columns` does, or if the output has only features.
  package var outputColumns: [String]?
  /// How the features were chosen; nil if the user, or a checkpoint, named them.
  package var choice: FeatureChoice?
  /// A doubt about the start of the stream, for the user. No checkpoint keeps it.
  package var warning: String?

  package init(
    schema: FeatureSchema, columns: [String] = [], prologue: [UInt8], choice: FeatureChoice? = nil
  ) {
    self.schema = schema
    self.columns = columns
    self.prologue = prologue
    self.choice = choice
  }

  package static func == (left: StreamOpening, right: StreamOpening) -> Bool {
    left.schema == right.schema && areSame(left.columns, right.columns)
      && left.prologue == right.prologue
      && areSame(left.outputColumns ?? [], right.outputColumns ?? [])
  }

  private enum CodingKeys: String, CodingKey {
    case features, columns, prologue, choice
    case outputColumns = "output_columns"
  }

  package init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    let names = try container.decode([String].self, forKey: .features)
    do {
      schema = try FeatureSchema(names)
    } catch {
      throw DecodingError.dataCorruptedError(
        forKey: .features, in: container, debugDescription: "\(error)")
    }
    columns = try container.decode([String].self, forKey: .columns)
    prologue = try container.decode(OpaqueBytes.self, forKey: .prologue).bytes
    outputColumns = try container.decodeIfPresent([String].self, forKey: .outputColumns)
    choice = try container.decodeIfPresent(FeatureChoice.self, forKey: .choice)
  }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(schema.names, forKey: .features)
    try container.encode(columns, forKey: .columns)
    try container.encode(OpaqueBytes(prologue), forKey: .prologue)
    try container.encodeIfPresent(outputColumns, forKey: .outputColumns)
    try container.encodeIfPresent(choice, forKey: .choice)
  }
}
