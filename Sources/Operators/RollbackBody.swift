package import State

/// The body of the update `rollback`: the generation of a checkpoint, and the part of its state to restore.
package struct RollbackBody: UpdateBody {
  package enum Part: String, Sendable, CaseIterable {
    /// The running moments, and the counts of batches and records.
    case moments
    /// γ and β, with the steps so far of learning them and what the optimizer keeps.
    case parameters

    /// The names of the state groups.
    fileprivate var groups: [String] {
      switch self {
      case .moments: ["moments", "stream"]
      case .parameters: ["affine"] + LearnColumns.restoredWithParameters
      }
    }
  }

  package var generation: Int
  package var part: Part
  /// The state of the generation. The stream reads it before an operator gets the update.
  package var saved: StateTable?

  package static let members = CodingKeys.allCases.map(\.rawValue)
  package static let replaces = false

  private enum CodingKeys: String, CodingKey, CaseIterable { case generation, part }

  package init(generation: Int, part: Part = .moments, saved: StateTable? = nil) {
    (self.generation, self.part, self.saved) = (generation, part, saved)
  }

  package init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    generation = try container.decode(Int.self, forKey: .generation)
    part = .moments
    guard let name = try container.decodeIfPresent(String.self, forKey: .part) else { return }
    guard let part = Part(rawValue: name) else {
      let parts = Part.allCases.map(\.rawValue).joined(separator: ", ")
      throw UpdateBodyError("part: expected one of \(parts)")
    }
    self.part = part
  }

  /// Restores the part in a state. Features that the generation lacks keep their values.
  ///
  /// - Throws: `UnusableBody` if the generation has no feature of the stream.
  func restore(in state: inout StateTable) throws(UnusableBody) {
    guard let saved, state.sharesFeatures(with: saved) else {
      throw UnusableBody("expected a feature of the stream in generation \(generation), found none")
    }
    state.take(groups: part.groups, from: saved)
    if part == .moments { state.takeKeys(from: saved) }
  }
}
