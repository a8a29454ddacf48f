internal import CYAML

/// A value of a YAML document as it is written. An alias is replaced by the node of its anchor.
struct YAMLNode {
  struct Scalar {
    var text: String
    /// Whether it is written without quotes.
    var isPlain: Bool
  }

  enum Content {
    case scalar(Scalar)
    case sequence([YAMLNode])
    case mapping([(key: YAMLNode, value: YAMLNode)])
  }

  var content: Content
  /// Nil if the document gives none.
  var tag: String?
  var mark: SourceMark
}

/// A reason why a text is not YAML.
struct YAMLFault: Error {
  var problem: String
  /// The construct in which the problem is; nil if the parser knows none.
  var context: String?
  var place: Place

  enum Place {
    case mark(SourceMark)
    /// The offset of a byte.
    case byte(Int)
  }
}

// Invariants:
// - `parser` keeps its address, to which it refers itself. It reads from the bytes of one call of `document`.
// - An anchor is known only after its node has ended. So no node contains itself.

/// Composes the events of libyaml into the nodes of one document.
struct YAMLComposer: ~Copyable {
  private let parser: UnsafeMutablePointer<yaml_parser_t>
  private var anchors: [String: YAMLNode] = [:]
  private let greatestDepth: Int

  /// Composes the document of a text.
  ///
  /// - Parameter greatestDepth: how many levels a document may have; a deeper one is a fault.
  /// - Returns: the root; nil if there is no document.
  /// - Throws: `YAMLFault` if the text is not YAML, or holds a second document.
  static func document(
    _ bytes: [UInt8], greatestDepth: Int
  ) throws(YAMLFault) -> YAMLNode? {
    var result: Result<YAMLNode?, YAMLFault> = .success(nil)
    bytes.withUnsafeBufferPointer { buffer in
      do throws(YAMLFault) {
        var composer = YAMLComposer(greatestDepth: greatestDepth)
        yaml_parser_set_encoding(composer.parser, YAML_UTF8_ENCODING)
        yaml_parser_set_input_string(composer.parser, buffer.baseAddress, buffer.count)
        result = .success(try composer.document())
      } catch {
        result = .failure(error)
      }
    }
    return try result.get()
  }

  private init(greatestDepth: Int) {
    self.greatestDepth = greatestDepth
    parser = .allocate(capacity: 1)
    precondition(yaml_parser_initialize(parser) == 1, "no memory for a parser")
  }

  deinit {
    yaml_parser_delete(parser)
    parser.deallocate()
  }

  private mutating func document() throws(YAMLFault) -> YAMLNode? {
    var root: YAMLNode?
    while true {
      let event = try next()
      switch event.kind {
      case YAML_STREAM_END_EVENT: return root
      case YAML_STREAM_START_EVENT, YAML_DOCUMENT_END_EVENT: continue
      case YAML_DOCUMENT_START_EVENT:
        guard root == nil else {
          throw YAMLFault(
            problem: "but found another document",
            context: "expected a single document in the stream",
            place: .mark(event.mark))
        }
      default: root = try node(event, depth: 0)
      }
    }
  }

  private mutating func node(_ event: Event, depth: Int) throws(YAMLFault) -> YAMLNode {
    guard depth <= greatestDepth else {
      throw YAMLFault(
        problem: "expected at most \(greatestDepth) levels", context: nil, place: .mark(event.mark))
    }
    let content: YAMLNode.Content
    switch event.kind {
    case YAML_ALIAS_EVENT:
      guard let node = anchors[event.text] else {
        throw YAMLFault(problem: "found undefined alias", context: nil, place: .mark(event.mark))
      }
      return node
    case YAML_SEQUENCE_START_EVENT:
      var elements: [YAMLNode] = []
      while let element = try child(before: YAML_SEQUENCE_END_EVENT, depth: depth) {
        elements.append(element)
      }
      content = .sequence(elements)
    case YAML_MAPPING_START_EVENT:
      var entries: [(key: YAMLNode, value: YAMLNode)] = []
      while let key = try child(before: YAML_MAPPING_END_EVENT, depth: depth) {
        entries.append((key, try node(next(), depth: depth + 1)))
      }
      content = .mapping(entries)
    default: content = .scalar(YAMLNode.Scalar(text: event.text, isPlain: event.isPlain))
    }
    let node = YAMLNode(content: content, tag: event.tag, mark: event.mark)
    if let anchor = event.anchor { anchors[anchor] = node }
    return node
  }

  /// The next node of a collection; nil at its end.
  private mutating func child(
    before end: yaml_event_type_t, depth: Int
  ) throws(YAMLFault) -> YAMLNode? {
    let event = try next()
    return event.kind == end ? nil : try node(event, depth: depth + 1)
  }

  // MARK: Events

  /// A copy of an event of libyaml.
  private struct Event {
    var kind: yaml_event_type_t
    var mark: SourceMark
    /// The text of a scalar, or the name of an alias.
    var text = ""
    var isPlain = false
    var tag: String?
    var anchor: String?
  }

  private mutating func next() throws(YAMLFault) -> Event {
    var event = yaml_event_t()
    guard yaml_parser_parse(parser, &event) == 1 else { throw fault }
    defer { yaml_event_delete(&event) }
    var copy = Event(kind: event.type, mark: SourceMark(event.start_mark))
    switch event.type {
    case YAML_SCALAR_EVENT:
      let scalar = event.data.scalar
      copy.text = String(
        decoding: UnsafeBufferPointer(start: scalar.value, count: scalar.length), as: UTF8.self)
      copy.isPlain = scalar.style == YAML_PLAIN_SCALAR_STYLE
      (copy.tag, copy.anchor) = (Self.text(scalar.tag), Self.text(scalar.anchor))
    case YAML_SEQUENCE_START_EVENT:
      let sequence = event.data.sequence_start
      (copy.tag, copy.anchor) = (Self.text(sequence.tag), Self.text(sequence.anchor))
    case YAML_MAPPING_START_EVENT:
      let mapping = event.data.mapping_start
      (copy.tag, copy.anchor) = (Self.text(mapping.tag), Self.text(mapping.anchor))
    case YAML_ALIAS_EVENT: copy.text = Self.text(event.data.alias.anchor) ?? ""
    default: break
    }
    return copy
  }

  private static func text(_ bytes: UnsafePointer<UInt8>?) -> String? {
    bytes.map { String(cString: $0) }
  }

  /// The reason why the parser stopped.
  private var fault: YAMLFault {
    let state = parser.pointee
    return YAMLFault(
      problem: state.problem.map { String(cString: $0) } ?? "no memory",
      context: state.context.map { String(cString: $0) },
      place: state.error == YAML_READER_ERROR
        ? .byte(state.problem_offset) : .mark(SourceMark(state.problem_mark)))
  }
}

extension SourceMark {
  fileprivate init(_ mark: yaml_mark_t) {
    self.init(line: mark.line + 1, column: mark.column + 1)
  }
}
