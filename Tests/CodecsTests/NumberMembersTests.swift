import Foundation
import TestSupport
import Testing

@testable import Codecs

/// Objects of numbers, compared with the reader of Foundation.
struct NumberMembersTests {
  /// The members as Foundation reads them; nil if it refuses the text, or finds another kind of member.
  private func expected(_ text: [UInt8]) -> [String: NumberMembers.Value]? {
    struct Member: Decodable {
      let value: NumberMembers.Value

      init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        func numbers(_ found: [Double?]) -> [Double] { found.map { $0 ?? .nan } }
        if let whole = try? container.decode(Int.self) {
          value = .whole(whole)
        } else if let found = try? container.decode([Double?].self) {
          value = .numbers(numbers(found))
        } else {
          value = .rows(try container.decode([[Double?]].self).map(numbers))
        }
      }
    }
    return try? JSONDecoder().decode([String: Member].self, from: Data(text)).mapValues(\.value)
  }

  private func read(_ text: [UInt8]) -> [String: NumberMembers.Value]? {
    NumberMembers(text).map {
      Dictionary(uniqueKeysWithValues: $0.members.map { ($0.name, $0.value) })
    }
  }

  /// The bits of all numbers, since NaN differs from itself. Foundation may read −0 as 0.
  private func bits(_ members: [String: NumberMembers.Value]?) -> [String: [[UInt64]]]? {
    members?.mapValues { value in
      switch value {
      case .whole(let number): [[UInt64(bitPattern: Int64(number))]]
      case .numbers(let numbers): [numbers.map { $0.isNaN ? .max : ($0 + 0).bitPattern }]
      case .rows(let rows): rows.map { $0.map { $0.isNaN ? .max : ($0 + 0).bitPattern } }
      }
    }
  }

  private func spelled(_ value: Double, using random: inout SeededGenerator) -> String {
    switch Int.random(in: 0..<5, using: &random) {
    case 0: "\(value)"
    case 1: String(format: "%.9g", value)
    case 2: String(format: "%.17E", value)
    case 3: "\(Int.random(in: -99...99, using: &random))"
    default: "null"
    }
  }

  private func text(using random: inout SeededGenerator) -> String {
    let blank = Bool.random(using: &random) ? " " : ""
    func array(_ count: Int) -> String {
      let numbers = (0..<count).map { _ in
        spelled(
          Double.random(in: -1...1, using: &random)
            * pow(10, Double(Int.random(in: -300...300, using: &random))), using: &random)
      }
      return "[" + numbers.joined(separator: "," + blank) + "]"
    }
    let rows = (0..<3).map { _ in array(2) }.joined(separator: ",")
    let members = [
      #""version":\#(blank)\#(Int.random(in: -99...999_999_999_999, using: &random))"#,
      #""weight_grad":\#(blank)\#(array(Int.random(in: 0...9, using: &random)))"#,
      #""y":\#(blank)[\#(rows)]"#,
    ]
    return blank + "{" + members.joined(separator: "," + blank) + "}" + blank
  }

  @Test func `objects are read as Foundation reads them`() {
    var random = SeededGenerator()
    for _ in 0..<2000 {
      let text = Array(text(using: &random).utf8)
      let found = read(text)
      #expect(found != nil, "\(String(decoding: text, as: UTF8.self)), seed \(testSeed)")
      #expect(bits(found) == bits(expected(text)), "seed \(testSeed)")
    }
  }

  @Test func `of damaged objects only those are read that Foundation reads too`() {
    var random = SeededGenerator()
    let bytes = Array(#"{}[]:,.-+0123456789eE"nulax_ "#.utf8)
    var readCount = 0
    for _ in 0..<20_000 {
      var text = Array(text(using: &random).utf8)
      for _ in 0..<Int.random(in: 1...2, using: &random) {
        let place = text.indices.randomElement(using: &random) ?? 0
        switch Int.random(in: 0..<3, using: &random) {
        case 0: text.remove(at: place)
        case 1: text.insert(bytes.randomElement(using: &random) ?? 0, at: place)
        default: text[place] = bytes.randomElement(using: &random) ?? 0
        }
      }
      guard let found = read(text) else { continue }
      readCount += 1
      #expect(
        bits(found) == bits(expected(text)),
        "\(String(decoding: text, as: UTF8.self)), seed \(testSeed)")
    }
    #expect(readCount > 1000)
  }

  @Test(arguments: [
    "", "{", "{}", "[1]", #"{"a":1,}"#, #"{"a":[1,]}"#, #"{"a":[1 2]}"#, #"{"a":01}"#,
    #"{"a":[01]}"#,
    #"{"a":[1.]}"#, #"{"a":[.5]}"#, #"{"a":[+1]}"#, #"{"a":[1e]}"#, #"{"a":[nan]}"#,
    #"{"a":[inf]}"#,
    #"{"a":[NaN]}"#, #"{"a":["1"]}"#, #"{"a":[true]}"#, #"{"a":1.0}"#, #"{"a":1e2}"#, #"{"a":"1"}"#,
    #"{"a":null}"#, #"{"a":{"b":1}}"#, #"{"a":1}x"#, #"{"a":1,"a":2}"#, #"{"A":1}"#,
    #"{"\u0061":1}"#,
    #"{"a":[1e999]}"#, #"{"a":[1e-400]}"#, #"{"a":[[1],2]}"#, #"{"a":[[[1]]]}"#,
    #"{"a":1234567890123456}"#,
    #"{"a":-}"#, #"{"a":[-]}"#, #"{"a":[nul]}"#, #"{"a" 1}"#, #"{a:1}"#,
  ])
  func `another form is left to the general reader`(text: String) {
    #expect(read(Array(text.utf8)) == nil)
  }

  @Test func `zeros keep their signs, and the greatest and least normal numbers are read`() throws {
    let text = #"{"a":[0,-0,0.0e5,-0.0,1.7976931348623157e308,2.2250738585072014e-308]}"#
    guard case .numbers(let found) = read(Array(text.utf8))?["a"] else {
      Issue.record("no numbers")
      return
    }
    #expect(found.map(\.sign) == [.plus, .minus, .plus, .minus, .plus, .plus])
    #expect(found.suffix(2) == [.greatestFiniteMagnitude, .leastNormalMagnitude])
  }
}
