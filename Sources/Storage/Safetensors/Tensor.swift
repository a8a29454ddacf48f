package import State

extension Safetensors {
  /// The type of a tensor's elements. The raw value is its name in the format.
  ///
  /// The order is that in which the reference implementation writes the tensors. Types smaller than a byte (`F4`,
  /// `F6_…`) are not supported.
  package enum ElementType: String, Sendable, CaseIterable {
    case u64 = "U64"
    case i64 = "I64"
    case f64 = "F64"
    case c64 = "C64"
    case f32 = "F32"
    case u32 = "U32"
    case i32 = "I32"
    case bf16 = "BF16"
    case f16 = "F16"
    case u16 = "U16"
    case i16 = "I16"
    case f8e8m0 = "F8_E8M0"
    case f8e4m3 = "F8_E4M3"
    case f8e5m2 = "F8_E5M2"
    case i8 = "I8"
    case u8 = "U8"
    case bool = "BOOL"

    /// The size of one element in bytes.
    package var byteCount: Int {
      switch self {
      case .u64, .i64, .f64, .c64: 8
      case .f32, .u32, .i32: 4
      case .bf16, .f16, .u16, .i16: 2
      case .f8e8m0, .f8e4m3, .f8e5m2, .i8, .u8, .bool: 1
      }
    }
  }

  /// A tensor: elements of one type, row-major and little-endian.
  package struct Tensor: Sendable, Equatable {
    package let elementType: ElementType
    /// The sizes of the dimensions; empty for a scalar.
    package let shape: [Int]
    /// `elementType.byteCount` bytes for each element. A slice of the file's bytes, not a copy.
    let bytes: ArraySlice<UInt8>

    init(elementType: ElementType, shape: [Int], bytes: ArraySlice<UInt8>) {
      self.elementType = elementType
      self.shape = shape
      self.bytes = bytes
    }

    /// A vector of F64.
    package init(_ values: [Double]) {
      self.init(.real(values), shape: [values.count])
    }

    /// A vector of I64.
    package init(_ values: [Int]) {
      self.init(.count(values), shape: [values.count])
    }

    /// An I64 without dimensions.
    package init(scalar value: Int) {
      self.init(.count([value]), shape: [])
    }

    /// A state column as a tensor of that shape: F64 for real numbers, I64 for counts.
    package init(_ values: StateValues, shape: [Int]) {
      let bytes =
        switch values {
        case .real(let values): littleEndianBytes(values.map(\.bitPattern.littleEndian))
        case .count(let values): littleEndianBytes(values.map(\.littleEndian))
        }
      self.init(
        elementType: values.kind == .real ? .f64 : .i64, shape: shape, bytes: bytes[...])
    }

    package var count: Int { bytes.count / elementType.byteCount }

    /// The elements of a tensor of floating-point numbers or integers, each as the nearest Double. Nil for other
    /// types.
    package var doubles: [Double]? {
      switch elementType {
      case .f64: bits.map { Double(bitPattern: $0) }
      case .f32: bits.map { Double(Float(bitPattern: UInt32($0))) }
      case .f16: bits.map { Double(Float16(bitPattern: UInt16($0))) }
      case .bf16: bits.map { Double(Float(bitPattern: UInt32($0) << 16)) }
      case .u64: bits.map { Double($0) }
      default: integers?.map { Double($0) }
      }
    }

    /// The elements of a tensor of integers. Nil for other types, and if an element does not fit.
    package var integers: [Int]? {
      switch elementType {
      case .i64: return bits.map { Int(Int64(bitPattern: $0)) }
      case .i32: return bits.map { Int(Int32(truncatingIfNeeded: $0)) }
      case .i16: return bits.map { Int(Int16(truncatingIfNeeded: $0)) }
      case .i8: return bits.map { Int(Int8(truncatingIfNeeded: $0)) }
      case .u64, .u32, .u16, .u8:
        let integers = bits.compactMap { Int(exactly: $0) }
        return integers.count == count ? integers : nil
      default: return nil
      }
    }

    /// The tensor in the words of an error: `F32 [3, 4]`.
    var summary: String {
      "\(elementType.rawValue) [\(shape.map { "\($0)" }.joined(separator: ", "))]"
    }

    /// The bits of each element, in the low end of a word.
    private var bits: [UInt64] {
      let size = elementType.byteCount
      if size == 8 {
        return bytes.withUnsafeBytes { bytes in
          (0..<bytes.count / 8).map {
            UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: 8 * $0, as: UInt64.self))
          }
        }
      }
      return stride(from: bytes.startIndex, to: bytes.endIndex, by: size).map { start in
        bytes[start..<start + size].reversed().reduce(0) { $0 << 8 | UInt64($1) }
      }
    }
  }
}

/// The bytes of integers in memory.
///
/// - Parameter words: little-endian ones.
private func littleEndianBytes(_ words: [some FixedWidthInteger]) -> [UInt8] {
  words.withUnsafeBytes { Array($0) }
}

/// The eight bytes of `word`, lowest first.
func littleEndianBytes(_ word: UInt64) -> [UInt8] {
  stride(from: 0, to: 64, by: 8).map { UInt8(truncatingIfNeeded: word >> $0) }
}
