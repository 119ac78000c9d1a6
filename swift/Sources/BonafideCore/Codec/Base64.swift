/// Base64 in the two alphabets of the wire, each octet string in its one spelling (RFC 4648 sections 3.5, 4 and 5).
package enum Base64 {
    /// Returns `octets` as base64url without padding (RFC 7515 section 2).
    package static func urlEncoded(_ octets: some Collection<UInt8>) -> String {
        encode(octets, alphabet: urlAlphabet, padded: false)
    }

    /// Returns `octets` as base64 with padding, as structured fields want it (RFC 9651 section 3.3.5).
    package static func encoded(_ octets: some Collection<UInt8>) -> String {
        encode(octets, alphabet: alphabet, padded: true)
    }

    /// Returns the octets that unpadded base64url spells, or nil for anything that `urlEncoded` would not write.
    package static func urlDecoded(_ text: some StringProtocol) -> [UInt8]? {
        decode(text.utf8, alphabet: urlValues)
    }

    /// Returns the octets that padded base64 spells, or nil for anything that `encoded` would not write.
    package static func decoded(_ text: some StringProtocol) -> [UInt8]? {
        let characters = Array(text.utf8)
        guard characters.count.isMultiple(of: 4) else { return nil }
        let padding = characters.suffix(2).reversed().prefix { $0 == UInt8(ascii: "=") }.count
        return decode(characters.dropLast(padding), alphabet: values)
    }

    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    private static let urlAlphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
    private static let values = table(alphabet)
    private static let urlValues = table(urlAlphabet)
    private static let foreign: UInt8 = 0xFF

    private static func table(_ alphabet: [UInt8]) -> [UInt8] {
        var table = [UInt8](repeating: foreign, count: 256)
        for (value, character) in alphabet.enumerated() { table[Int(character)] = UInt8(value) }
        return table
    }

    private static func encode(_ octets: some Collection<UInt8>, alphabet: [UInt8], padded: Bool) -> String {
        var text: [UInt8] = []
        text.reserveCapacity((octets.count + 2) / 3 * 4)
        var bits: UInt32 = 0
        var held = 0
        for octet in octets {
            bits = bits << 8 | UInt32(octet)
            held += 8
            while held >= 6 {
                held -= 6
                text.append(alphabet[Int(bits >> UInt32(held) & 63)])
            }
        }
        if held > 0 { text.append(alphabet[Int(bits << UInt32(6 - held) & 63)]) }
        while padded, !text.count.isMultiple(of: 4) { text.append(UInt8(ascii: "=")) }
        return String(decoding: text, as: UTF8.self)
    }

    private static func decode(_ characters: some Collection<UInt8>, alphabet: [UInt8]) -> [UInt8]? {
        guard characters.count % 4 != 1 else { return nil }
        var octets: [UInt8] = []
        octets.reserveCapacity(characters.count / 4 * 3 + 2)
        var bits: UInt32 = 0
        var held = 0
        for character in characters {
            let value = alphabet[Int(character)]
            guard value != foreign else { return nil }
            bits = bits << 6 | UInt32(value)
            held += 6
            if held >= 8 {
                held -= 8
                octets.append(UInt8(truncatingIfNeeded: bits >> UInt32(held)))
            }
        }
        // Bits that belong to no octet are zero, or the octets would have a second spelling.
        return bits & (1 << UInt32(held) - 1) == 0 ? octets : nil
    }
}
