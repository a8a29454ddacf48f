import TestSupport
import Testing

@testable import Codecs
@testable import Records

/// Metadata that was made to break its readers.
struct ArrowHostileTests {
  /// Reads all of a metadata flatbuffer; false if it is refused.
  private func reads(
    _ metadata: [UInt8], _ schema: ArrowSchema, _ features: ArrowFeatures
  ) -> Bool {
    do throws(RecordFault) {
      try FlatBytes.read(metadata) { bytes throws(RecordFault) in
        let message = try ArrowMessage(bytes, bodyLimit: 1 << 20)
        switch message.kind {
        case .schema:
          let schema = try ArrowSchema(
            message.header, hasUnionValidity: message.hasUnionValidity, limits: DecoderLimits())
          _ = try? ArrowFeatures([], of: schema, limits: DecoderLimits())
        case .recordBatch:
          let layout = try ArrowBatchLayout(
            message, schema: schema, features: features, byteLimit: 1 << 20)
          for column in layout.columns {
            #expect(column.values.upperBound <= message.bodyBytes)
            #expect(column.validity?.upperBound ?? 0 <= message.bodyBytes)
          }
        case .dictionaryBatch: break
        }
      }
      return true
    } catch {
      return false
    }
  }

  @Test(arguments: ["pyarrow-none.arrows", "pyarrow-zstd.arrows"])
  func `metadata that is cut off or changed in a bit is read or refused`(name: String) throws {
    let parts = try arrowParts(ArrowGolden.bytes(name))
    let schema = try arrowSchema(#require(parts.first).metadata)
    let features = try arrowFeatures([], of: schema)
    var refused = 0
    for part in [parts[0], try #require(parts.first { $0.kind == .recordBatch })] {
      #expect(reads(part.metadata, schema, features))
      for count in 0..<part.metadata.count
      where !reads(Array(part.metadata.prefix(count)), schema, features) { refused += 1 }
      for bit in dose(0..<8 * part.metadata.count) {
        var metadata = part.metadata
        metadata[bit / 8] ^= 1 << (bit % 8)
        if !reads(metadata, schema, features) { refused += 1 }
      }
    }
    #expect(refused > 500)
  }

  @Test func `a footer that is cut off or changed in a bit is read or refused`() throws {
    let file = try ArrowGolden.bytes("polars-newest-none.arrow")
    let footer = try arrowFooter(file)
    #expect(!footer.messages.isEmpty)
    var refused = 0
    let tail = Array(file.suffix(1200))
    for bit in dose(0..<8 * tail.count) {
      var changed = tail
      changed[bit / 8] ^= 1 << (bit % 8)
      do throws(RecordFault) {
        let footer = try arrowFooter(Array(file.dropLast(tail.count)) + changed)
        _ = try arrowSchema(footer.schemaMessage)
      } catch {
        refused += 1
      }
    }
    #expect(refused > 100)
  }

  @Test func `buffers that leave the body, or share it, are refused`() throws {
    let parts = try arrowParts(ArrowGolden.bytes("pyarrow-none.arrows"))
    let schema = try arrowSchema(#require(parts.first).metadata)
    let features = try arrowFeatures(["x"], of: schema)
    let part = try #require(parts.first { $0.kind == .recordBatch })
    let layout = try arrowLayout(part.metadata, schema, features)
    let values = layout.buffersPlace + 16
    func fault(_ number: Int, at place: Int) -> RecordFault? {
      do throws(RecordFault) {
        _ = try arrowLayout(arrowSet(Int64(number), at: place, in: part.metadata), schema, features)
        return nil
      } catch {
        return error
      }
    }
    #expect(fault(layout.columns[0].values.lowerBound, at: values) == nil)
    let body = part.body.count
    #expect(fault(body, at: values)?.found == "96 bytes at \(body)")
    #expect(fault(-8, at: values)?.found == "96 bytes at -8")
    #expect(fault(.max, at: values)?.found == "96 bytes at \(Int.max)")
    #expect(fault(95, at: values + 8)?.expected == "96 bytes of feature 'x'")
    #expect(fault(body - 8, at: values + 8) != nil)
    let node = layout.columns[0].node
    #expect(fault(25, at: node)?.found == "25")
    #expect(fault(-1, at: node + 8)?.expected == "0 to 24 nulls of feature 'x'")
    #expect(fault(25, at: node + 8)?.expected == "0 to 24 nulls of feature 'x'")
    #expect(fault(0, at: layout.buffersPlace + 8)?.expected.contains("a bitmap of 3 bytes") == true)
  }

  @Test func `the prefix of a message says how much it needs`() throws {
    func start(_ bytes: [UInt8]) throws(RecordFault) -> ArrowFrame.Start {
      try FlatBytes.read(bytes) { view throws(RecordFault) in try ArrowFrame.start(of: view) }
    }
    #expect(try start([255, 255, 255]) == .needs(4))
    #expect(try start([255, 255, 255, 255, 8, 0]) == .needs(8))
    #expect(
      try start([255, 255, 255, 255, 8, 1, 0, 0]) == .message(prefixBytes: 8, metadataBytes: 264))
    #expect(try start([8, 1, 0, 0]) == .message(prefixBytes: 4, metadataBytes: 264))
    #expect(try start([255, 255, 255, 255, 0, 0, 0, 0]) == .end(8))
    #expect(try start([0, 0, 0, 0]) == .end(4))
    #expect(throws: RecordFault.self) { try start([1, 0, 0, 16]) }
  }
}
