/// Words that make a sentence hard to read, with the word to write.
let wordsNotToWrite: [(word: String, instead: String)] = [
  ("anew", "again"), ("whoever", "the one that, or its name"), ("whosoever", "the one that"),
  ("whatever comes first", "the first of"), ("lest", "so that … not"), ("thereof", "of it"),
  ("in its stead", "in its place"), ("of its own accord", "by itself"), ("ahead of", "before"),
  ("behind", "after"), ("nil where", "nil if"), ("false where", "false if"),
  ("true where", "true if"), ("empty where", "empty if"),
  ("where nothing", "if nothing"), ("where nobody", "if nobody"), ("where none", "if none"),
  ("come by", "get"), ("comes by", "gets"),
]

/// The most words of a sentence in a documentation comment.
let sentenceWordLimit = 25

/// Where those words mean what they say.
let uses: [String] = [
  "falls behind", "fall behind", "fell behind", "falling behind", "left behind", "leaves behind",
  "leave behind", "nothing behind", "lags behind", "is behind", "are behind", "behind a proxy",
  "behind a C header",
  "behind the seam", "behind the file-system seam", "behind a make target", "behind a flag",
  "ahead of time",
]

/// Sentences must not begin with these, unless they ask something.
private let relativeOpenings: Set<String> = [
  "What", "Where", "Whoever", "Who", "Whose", "Whatever",
]

@Sendable func proseIsPlain(_ file: SourceFile) -> [Violation] {
  guard !filesToRewrite.contains(file.path) else { return [] }
  return habits(in: file)
}

/// The bad habits in the prose of a file, whether or not it is still to be rewritten.
func habits(in file: SourceFile) -> [Violation] {
  file.prose.flatMap { prose -> [Violation] in
    let (text, line) = prose.joined
    let sentences = sentences(of: text, beginsSentence: prose.beginsSentence)
    let openings = sentences.compactMap { sentence -> Violation? in
      guard relativeOpenings.contains(sentence.firstWord), !sentence.isQuestion else { return nil }
      return Violation(
        path: file.path, line: line(sentence.offset),
        message: "a sentence that begins with \"\(sentence.firstWord)\" and asks nothing")
    }
    let long = sentences.compactMap { sentence -> Violation? in
      guard prose.isDocumentation, sentence.wordCount > sentenceWordLimit else { return nil }
      return Violation(
        path: file.path, line: line(sentence.offset),
        message: "a sentence of \(sentence.wordCount) words, over \(sentenceWordLimit)")
    }
    return openings + long
      + words(in: text).map { offset, word, instead in
        Violation(
          path: file.path, line: line(offset), message: "\"\(word)\": write \"\(instead)\"")
      }
  }.sorted { $0.line < $1.line }
}

private struct Sentence {
  var offset: Int
  var firstWord: String
  var wordCount: Int
  var isQuestion: Bool
}

private func sentences(of text: String, beginsSentence: Bool) -> [Sentence] {
  let characters = Array(text)
  var sentences: [Sentence] = []
  var start = beginsSentence ? 0 : nil as Int?
  for index in characters.indices {
    let isLast = index + 1 == characters.count
    guard isLast || ".?!:;".contains(characters[index]) && characters[index + 1] == " " else {
      continue
    }
    if let first = start, first <= index {
      let words = characters[first...index].drop { !$0.isLetter }
      sentences.append(
        Sentence(
          offset: first, firstWord: String(words.prefix { $0.isLetter }),
          wordCount: words.split(separator: " ").count { $0.contains(where: \.isLetter) },
          isQuestion: characters[index] == "?"))
    }
    // A colon ends no sentence, but a question may follow one.
    start = isLast ? nil : index + 2
  }
  return sentences
}

private func words(in text: String) -> [(offset: Int, word: String, instead: String)] {
  let words = tokens(of: text)
  func holds(_ phrase: [String], at index: Int) -> Bool {
    index >= 0 && index + phrase.count <= words.count
      && zip(words[index...], phrase).allSatisfy { $0.text == $1 }
  }
  return words.indices.flatMap { index in
    phrases[words[index].text, default: []].compactMap { word, phrase, instead in
      guard holds(phrase, at: index) else { return nil }
      let isUse = uses.contains { use in
        let use = use.lowercased().split { !$0.isLetter }.map(String.init)
        return use.indices.contains { use[$0] == phrase[0] && holds(use, at: index - $0) }
      }
      return isUse ? nil : (words[index].offset, word, instead)
    }
  }
}

/// The words of `wordsNotToWrite` by their first one.
private let phrases = Dictionary(
  grouping: wordsNotToWrite.map { entry in
    (entry.word, entry.word.split(separator: " ").map(String.init), entry.instead)
  }, by: { $0.1[0] })

private func tokens(of text: String) -> [(offset: Int, text: String)] {
  var tokens: [(offset: Int, text: String)] = []
  var word = ""
  for (offset, character) in text.enumerated() {
    if character.isLetter {
      word.append(character)
    } else if !word.isEmpty {
      tokens.append((offset - word.count, word.lowercased()))
      word = ""
    }
  }
  if !word.isEmpty { tokens.append((text.count - word.count, word.lowercased())) }
  return tokens
}
