/// The number of a generation, from 1, and whether it is a delta. Both determine the name of its file.
struct Generation: Equatable {
  let number: Int
  /// Whether the file has only what changed since the generation before it.
  let isDelta: Bool

  private static let prefix = "checkpoint-"
  private static let suffix = ".safetensors"
  private static let deltaMark = ".delta"
  private static let digits = 10

  /// The number before the first.
  static let none = Generation(number: 0, isDelta: false)

  private init(number: Int, isDelta: Bool) { (self.number, self.isDelta) = (number, isDelta) }

  /// The generation whose file has this name; nil for other names.
  init?(fileName: String) {
    guard fileName.hasPrefix(Self.prefix), fileName.hasSuffix(Self.suffix) else { return nil }
    var text = fileName.utf8.dropFirst(Self.prefix.utf8.count).dropLast(Self.suffix.utf8.count)
    isDelta = text.count > Self.digits
    if isDelta { text = text.dropLast(Self.deltaMark.utf8.count) }
    guard text.count == Self.digits, let number = Int(String(Substring(text))), number >= 0 else {
      return nil
    }
    self.number = number
    // Int would accept a sign.
    guard self.fileName == fileName else { return nil }
  }

  var fileName: String {
    let text = String(number)
    return Self.prefix + String(repeating: "0", count: Self.digits - text.utf8.count) + text
      + (isDelta ? Self.deltaMark : "") + Self.suffix
  }

  /// The next generation; nil if its number would have more than ten digits.
  func next(isDelta: Bool) -> Generation? {
    number < 9_999_999_999 ? Generation(number: number + 1, isDelta: isDelta) : nil
  }

  /// The generation before it, as a delta or not.
  func previous(isDelta: Bool) -> Generation { Generation(number: number - 1, isDelta: isDelta) }
}
