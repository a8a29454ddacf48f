internal import Glibc

/// A number with six significant digits, as `%g` writes it.
func short(_ value: Double) -> String {
  withUnsafeTemporaryAllocation(of: CChar.self, capacity: 32) { buffer in
    withVaList([value]) { _ = vsnprintf(buffer.baseAddress, buffer.count, "%.6g", $0) }
    return String(cString: buffer.baseAddress!)
  }
}
