/// A kind of change that users can request of a running stream. The API and the command line offer it by its name.
package struct UpdateKind: Sendable {
  package let name: String
  /// Its effect, in one sentence.
  package let help: String
  /// The type of its body; nil if it has none.
  package let body: (any UpdateBody.Type)?
  /// The setting that turns its operator on, for the error of a stream without it; nil if every stream has it.
  package let needs: String?
  /// Whether it concerns γ and β. If a stream learns them, one of its partitions makes it for all.
  package let isOfParameters: Bool
  /// The subject of an update that all partitions of a stream make, in whichever process: a later update of the same
  /// subject takes its place. Nil if each process makes it for the partitions that it has.
  package let subject: String?

  package init(
    _ name: String, body: (any UpdateBody.Type)? = nil, needs: String? = nil,
    isOfParameters: Bool = false, subject: String? = nil, help: String
  ) {
    self.name = name
    self.body = body
    self.needs = needs
    self.isOfParameters = isOfParameters
    self.subject = subject
    self.help = help
  }
}

/// A JSON object that a user sends.
///
/// `init(from:)` may throw an `UpdateBodyError`; the user sees its text.
package protocol SentObject: Sendable, Equatable, Decodable {
  /// The names of all members. An object with other members is refused.
  static var members: [String] { get }
}

/// The body of an update: a JSON object in the API.
package protocol UpdateBody: SentObject {
  /// The version of γ and β for which the update was made. It is refused if they have another one. Nil allows any.
  var ifVersion: Int? { get }
  /// Whether a second update with the same body changes more than the first did. The API takes it by POST, and neither a
  /// line of the log nor a checkpoint follows each.
  static var addsUp: Bool { get }
  /// Whether the body takes the place of something. The API then takes it by PUT.
  static var replaces: Bool { get }
}

extension UpdateBody {
  package var ifVersion: Int? { nil }
  package static var addsUp: Bool { false }
  package static var replaces: Bool { !addsUp }
}

/// An update was made for another version of γ and β than it may be.
package protocol VersionConflict: Error, CustomStringConvertible {
  /// The version in force.
  var found: Int { get }
}

/// Another client has changed γ or β since the version that an update was made for.
package struct OtherVersion: VersionConflict, Equatable {
  package let expected: Int
  package let found: Int

  package init(expected: Int, found: Int) {
    self.expected = expected
    self.found = found
  }

  package var description: String {
    "expected version \(expected) of γ and β (if_version), found \(found); look at them again"
  }
}

/// The reason why a body cannot be used.
package struct UpdateBodyError: Error, Equatable, CustomStringConvertible {
  package let description: String

  package init(_ description: String) { self.description = description }
}

/// The reason why a stream cannot use the numbers of a body that has the right form.
package struct UnusableBody: Error, Equatable, CustomStringConvertible {
  package let description: String

  package init(_ description: String) { self.description = description }
}

/// A change that a user requests.
package struct StreamUpdate: Sendable {
  package let name: String
  package let body: (any UpdateBody)?

  package init(_ name: String, _ body: (any UpdateBody)? = nil) {
    self.name = name
    self.body = body
  }
}

extension StreamUpdate: Equatable {
  package static func == (left: StreamUpdate, right: StreamUpdate) -> Bool {
    guard left.name == right.name else { return false }
    switch (left.body, right.body) {
    case (nil, nil): return true
    case (let left?, let right?): return left.equals(right)
    default: return false
    }
  }
}

extension UpdateBody {
  fileprivate func equals(_ other: any UpdateBody) -> Bool { self == other as? Self }
}
