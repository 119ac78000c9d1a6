import Foundation
import Testing

@testable import BonafideCore

/// One file below `vectors/`: an input with its verdict, which Python's tests read too.
struct VectorFile: CustomTestStringConvertible {
    /// The folder and the file's name, as the reference page has it.
    let name: String
    let input: JSON
    /// The time at which it is judged, as the file has it.
    let time: String?
    let expect: String
    let claims: JSON?

    var isAccepted: Bool { expect == "accept" }
    var testDescription: String { name }

    static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    static let directory = root.appendingPathComponent("vectors")

    /// The areas that there are.
    static let areas: [String] = {
        let found = try? FileManager.default.contentsOfDirectory(atPath: directory.path)
        return (found ?? []).filter { !$0.hasPrefix(".") }.sorted()
    }()

    /// The vectors of one area, in the order of their names.
    static func all(_ area: String) -> [VectorFile] {
        let folder = directory.appendingPathComponent(area)
        let files = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        return files.filter { $0.hasSuffix(".json") }.sorted().map { file in
            guard let octets = FileManager.default.contents(atPath: folder.appendingPathComponent(file).path),
                let json = JSONReader.object(octets, maxOctets: 1 << 20), let input = json["input"],
                let expect = json["expect"]?.text
            else { preconditionFailure("\(area)/\(file) is no vector") }
            return VectorFile(
                name: "\(area)/\(file.dropLast(5))", input: input, time: json["now"]?.text, expect: expect,
                claims: json["claims"])
        }
    }

    func text(_ member: String) throws -> String { try #require(input[member]?.text, "\(name): \(member)") }

    /// Seconds since 1970 of `time`: `2026-11-01T12:00:00Z`, with or without a fraction.
    func now() throws -> Double {
        let text = try #require(time, "\(name): now")
        let whole = try #require(ISO8601DateFormatter().date(from: text.prefix(19) + "Z"), "\(name): now")
        let fraction = text.dropFirst(19).dropLast()
        return whole.timeIntervalSince1970 + (fraction.isEmpty ? 0 : try #require(Double("0\(fraction)")))
    }

    func octets(_ member: String) throws -> [UInt8] {
        try #require(Base64.decoded(text(member)), "\(name): \(member)")
    }

    func claimed(_ member: String) throws -> [UInt8] {
        try #require(claims?[member]?.text.flatMap { Base64.decoded($0) }, "\(name): claim \(member)")
    }

    /// The private scalar of a key in PKCS #8 as the builder writes it: RFC 5915's version and octet string lead to it.
    func scalar(_ member: String) throws -> [UInt8] {
        let octets = try octets(member)
        let lead: [UInt8] = [0x02, 0x01, 0x01, 0x04, 0x20]
        let start = try #require((0..<octets.count).first { octets[$0...].starts(with: lead) })
        return Array(octets[(start + lead.count)...].prefix(32))
    }
}
