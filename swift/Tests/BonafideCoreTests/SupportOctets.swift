/// The octets that `text` spells in hexadecimal.
func fromHex(_ text: String) -> [UInt8] {
    let digits = Array(text)
    return stride(from: 0, to: digits.count, by: 2).map { start in
        guard let octet = UInt8(String(digits[start...start + 1]), radix: 16) else {
            preconditionFailure("no hexadecimal: \(text)")
        }
        return octet
    }
}

extension [UInt8] {
    /// The same octets but for one bit.
    var oneBitOff: [UInt8] {
        var changed = self
        changed[count / 2] ^= 1
        return changed
    }
}
