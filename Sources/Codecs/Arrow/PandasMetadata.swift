/// The metadata that pandas puts into a schema: JSON with the types of the columns, by which a reader makes the frame.
enum PandasMetadata {
  static let key = "pandas"

  /// The types of integers that Evenkeel converts, as pandas spells them, and those of the floats of the same width.
  private static let floats: [String: String] = [
    "int32": "float32", "Int32": "Float32", "int32[pyarrow]": "float[pyarrow]",
    "int64": "float64", "Int64": "Float64", "int64[pyarrow]": "double[pyarrow]",
  ]

  /// The JSON with the types of some columns as floats. All other bytes stay as they are.
  ///
  /// - Parameter columns: the names of the columns that were integers.
  static func withFloats(_ json: [UInt8], of columns: Set<String>) -> [UInt8] {
    var patched: [UInt8] = []
    var place = 0
    for type in types(of: columns, in: json[...]) {
      guard let float = floats[String(decoding: json[type], as: UTF8.self)] else { continue }
      patched += json[place..<type.lowerBound] + Array(float.utf8)
      place = type.upperBound
    }
    return patched + json[place...]
  }

  /// The places of the types of columns; they ascend.
  private static func types(of columns: Set<String>, in json: ArraySlice<UInt8>) -> [Range<Int>] {
    var found: [Range<Int>] = []
    var members = JSONWalk(json)
    while let (key, value) = members.nextMember() {
      guard value.kind == .array, json[key].elementsEqual("columns".utf8) else { continue }
      var elements = JSONWalk(json[value.range])
      while let element = elements.nextElement() {
        let column = column(json[element.range])
        if let name = column.name, columns.contains(name) { found += column.types }
      }
    }
    return found
  }

  /// The name of a column's field, and the places of its types.
  private static func column(_ json: ArraySlice<UInt8>) -> (name: String?, types: [Range<Int>]) {
    var (field, name): (String?, String?)
    var types: [Range<Int>] = []
    var members = JSONWalk(json)
    while let (key, value) = members.nextMember() {
      guard value.kind == .string else { continue }
      let text = String(decoding: JSONText.unescaped(json[value.range]), as: UTF8.self)
      switch String(decoding: json[key], as: UTF8.self) {
      case "field_name": field = text
      // Older versions of pandas name a column alone.
      case "name": name = text
      case "pandas_type", "numpy_type": types.append(value.range)
      default: break
      }
    }
    return (field ?? name, types)
  }
}
