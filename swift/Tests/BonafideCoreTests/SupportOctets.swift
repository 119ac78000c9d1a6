/// The octets that `text` spells in hexadecimal.
func fromHex(_ text: String) -> [UInt8] {
    let digits = Array(text)
    return stride(from: 0, to: digits.count, by: 2).map { UInt8(String(digits[$0...$0 + 1]), radix: 16)! }
}

extension [UInt8] {
    /// The same octets but for one bit.
    var oneBitOff: [UInt8] {
        var changed = self
        changed[count / 2] ^= 1
        return changed
    }
}
