/// The elements of a list that one argument holds, separated by commas. As in a header of CSV, an element in quotes
/// may contain commas, and quotes that are doubled. Empty elements without quotes do not count.
package func listElements(_ text: String) -> [String] {
  var elements: [String] = []
  var rest = Substring(text)
  while !rest.isEmpty {
    if let (element, after) = quotedElement(rest) {
      elements.append(element)
      rest = after.dropFirst()
    } else {
      let element = rest.prefix { $0 != "," }
      if !element.isEmpty { elements.append(String(element)) }
      rest = rest.dropFirst(element.count + 1)
    }
  }
  return elements
}

/// An element in quotes at the start of a text, and the text after it; nil if there is none. A quote that no comma
/// and no end follows closes nothing.
private func quotedElement(_ text: Substring) -> (element: String, after: Substring)? {
  guard text.first == "\"" else { return nil }
  var element = ""
  var rest = text.dropFirst()
  while let quote = rest.firstIndex(of: "\"") {
    element += rest[..<quote]
    rest = rest[rest.index(after: quote)...]
    if rest.first != "\"" {
      return rest.isEmpty || rest.first == "," ? (element, rest) : nil
    }
    element += "\""
    rest = rest.dropFirst()
  }
  return nil
}
