package import Codecs
package import Records

extension RecordBlock {
  /// The text of the records, or their raw rows; empty if the block carries neither.
  package var text: [UInt8] {
    get { (payload as? SplicedText)?.bytes ?? (payload as? RowBytes)?.bytes ?? [] }
    set { change { $0.bytes = newValue } }
  }

  /// The spans of the text.
  package var spans: [ValueSpan] {
    get { (payload as? SplicedText)?.spans ?? [] }
    set { change { $0.spans = newValue } }
  }

  private mutating func change(_ change: (inout SplicedText) -> Void) {
    var text = payload as? SplicedText ?? SplicedText()
    // The text has one owner while it changes.
    payload = NoPayload()
    change(&text)
    payload = text
  }

  /// The records of each mini-batch that ends in the block, or of the part of one that it is.
  package var sizes: [Int] {
    let ends = cuts.isEmpty ? [columns.count] : cuts.map(\.end.records)
    return zip([0] + ends, ends).map { $1 - $0 }
  }
}
