internal import Records

/// The versions that normalised the rows of a record batch, as its custom metadata tells them.
struct ArrowStamp: Sendable {
  /// The rows from which on the versions are in force, in order.
  private(set) var marks: [VersionMark] = []

  /// Takes the marks of the next rows; the first of them is row `first`, and record `record` of its block.
  mutating func take(_ found: [VersionMark], first: Int, record: Int) {
    for mark in found where marks.last?.versions != mark.versions {
      marks.append(VersionMark(record: mark.record - record + first, mark.versions))
    }
  }

  /// An array of JSON with an object for each mark.
  var text: String {
    let objects = marks.map {
      #"{"row":\#($0.record),"state_version":\#($0.versions.state),"#
        + #""parameters_version":\#($0.versions.parameters)}"#
    }
    return "[" + objects.joined(separator: ",") + "]"
  }

  /// The metadata of a record batch with the stamp; the same if there is none.
  ///
  /// - Parameter name: its key.
  func stamped(_ metadata: [UInt8], as name: String?) -> [UInt8] {
    guard let name, !marks.isEmpty else { return metadata }
    // The metadata was read before, so that it can be read again.
    return (try? ArrowMetadata.adding([(name, text)], to: metadata)) ?? metadata
  }

  /// Refuses a record batch that has custom metadata of that name, or custom metadata that cannot be read.
  static func check(_ message: ArrowMessage, for name: String) throws(RecordFault) {
    guard let pairs = try message.table.vector(4, stride: 4) else { return }
    for index in 0..<pairs.count {
      guard try pairs.table(index).string(0, limit: ArrowFrame.metadataLimit) != name else {
        throw RecordFault(
          expected: "a record batch without custom metadata '\(name)', which output.stamp writes",
          found: "it: choose another name")
      }
    }
  }
}
