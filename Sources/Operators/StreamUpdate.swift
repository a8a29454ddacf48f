/// A kind of change that users can request of a running stream. The API and the command line offer it by its name.
package struct UpdateKind: Sendable {
  package let name: String
  /// Its effect, in one sentence.
  package let help: String
  /// The type of its body; nil if it has none.
  package let body: (any UpdateBody.Type)?

  package init(_ name: String, body: (any UpdateBody.Type)? = nil, help: String) {
    self.name = name
    self.body = body
    self.help = help
  }
}

/// The body of an update: a JSON object in the API.
///
/// `init(from:)` may throw an `UpdateBodyError`; the user sees its text.
package protocol UpdateBody: Sendable, Equatable, Decodable {
  /// The names of all members. An object with other members is refused.
  static var members: [String] { get }
  /// The version of γ and β for which the update was made. It is refused if they have another one. Nil allows any.
  var ifVersion: Int? { get }
}

extension UpdateBody {
  package var ifVersion: Int? { nil }
}

/// Another client has changed γ or β since the version that an update was made for.
package struct OtherVersion: Error, Equatable, CustomStringConvertible {
  package let expected: Int
  /// The version in force.
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
