import BonafideTestSupport
import Foundation
import Testing

@testable import Bonafide
@testable import BonafideCore

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// What a proxy can do that the phone trusts, over a real connection: each ends in a typed error, and leaves nothing.
/// One after another, since files are looked for that one of them might leave.
@Suite(.serialized) struct SealedOnTheWayTests {
    struct Attack: Sendable, CustomTestStringConvertible {
        let name: String
        let error: BonafideError
        let reply: @Sendable (SealingServer.Exchange) -> [UInt8]

        var testDescription: String { name }

        init(
            _ name: String, _ error: BonafideError, _ reply: @escaping @Sendable (SealingServer.Exchange) -> [UInt8]
        ) {
            self.name = name
            self.error = error
            self.reply = reply
        }

        /// The API's own answer with other octets.
        init(_ name: String, _ code: String, edited: @escaping @Sendable ([UInt8]) -> [UInt8]) {
            self.init(name, .sealRefused(code)) { sealedAnswer(edited($0.seal(body))) }
        }
    }

    /// Three records.
    private static let body = (0..<150_000).map { UInt8(truncatingIfNeeded: $0 / 7) }
    private static let header = 37
    private static let record = 65536

    private static func inClear(_ status: String, _ headers: [String] = [], _ body: String = "forged") -> [UInt8] {
        sealedAnswer(Array(body.utf8), status, headers, type: "application/json")
    }

    private static func notSealed(_ status: Int, _ action: Action? = nil, _ record: String? = nil) -> BonafideError {
        .answerNotSealed(status: status, action: action, record: record)
    }

    private static let clear: [Attack] = [
        Attack("answered in clear", notSealed(200)) { _ in inClear("200 OK") },
        Attack("refused in clear", notSealed(403)) { _ in inClear("403 Forbidden") },
        Attack("refused in clear with an action", notSealed(403, .updateApp, "r1")) { _ in
            inClear("403 Forbidden", ["Bonafide-Action: update_app", "Bonafide-Record: r1"])
        },
        Attack("refused in clear again and again", notSealed(401, .signAgain)) { _ in
            inClear("401 Unauthorized", ["Bonafide-Action: sign_again"])
        },
        Attack("an error of the proxy", notSealed(502)) { _ in inClear("502 Bad Gateway", [], "<html>") },
        Attack("the seal stripped, the octets left", notSealed(200)) {
            sealedAnswer($0.seal(body), type: "application/octet-stream")
        },
        Attack("no content type", notSealed(200)) { sealedAnswer($0.seal(body), type: nil) },
        Attack("another spelling of the type", notSealed(200)) {
            sealedAnswer($0.seal(body), type: "application/bonafide-sealed;q=1")
        },
        Attack("no content", notSealed(204)) { _ in Array("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n".utf8)
        },
        Attack("a redirect in clear", notSealed(302)) { _ in
            inClear("302 Found", ["Location: /elsewhere", "Set-Cookie: sid=forged; Path=/"])
        },
        Attack("not modified", notSealed(304)) { _ in
            Array("HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n".utf8)
        },
        Attack("a part", notSealed(206)) { _ in inClear("206 Partial Content", ["Content-Range: bytes 0-5/6"]) },
    ]

    private static let edited: [Attack] = [
        Attack("emptied", "sealed.truncated") { _ in [] },
        Attack("cut in the header", "sealed.truncated") { Array($0.prefix(20)) },
        Attack("cut after the header", "sealed.truncated") { Array($0.prefix(header)) },
        Attack("cut after one record", "sealed.truncated") { Array($0.prefix(header + record)) },
        Attack("cut after two records", "sealed.truncated") { Array($0.prefix(header + 2 * record)) },
        Attack("cut in a record", "sealed.record_invalid") { Array($0.prefix(header + record + 500)) },
        Attack("cut by an octet", "sealed.record_invalid") { Array($0.dropLast()) },
        Attack("an octet more", "sealed.record_invalid") { $0 + [0] },
        Attack("a record dropped", "sealed.record_invalid") {
            Array($0[..<header] + $0[(header + record)...])
        },
        Attack("records swapped", "sealed.record_invalid") {
            Array(
                $0[..<header] + $0[(header + record)..<(header + 2 * record)] + $0[header..<(header + record)]
                    + $0[(header + 2 * record)...])
        },
        Attack("a record twice", "sealed.record_invalid") {
            Array($0[..<(header + record)] + $0[header...])
        },
        Attack("salt", "sealed.record_invalid") { flip($0, 0) },
        Attack("record size", "sealed.header_refused") { flip($0, 17) },
        Attack("length of the key id", "sealed.header_refused") { flip($0, 20) },
        Attack("key id", "sealed.session_mismatch") { flip($0, 25) },
        Attack("first record", "sealed.record_invalid") { flip($0, header + 100) },
        Attack("a tag", "sealed.record_invalid") { flip($0, header + record - 1) },
        Attack("last record", "sealed.record_invalid") { flip($0, $0.count - 30) },
        Attack("a body in its place", "sealed.header_refused") { _ in
            Array(String(repeating: #"{"forged": true}"#, count: 50).utf8)
        },
    ]

    private static func flip(_ octets: [UInt8], _ place: Int) -> [UInt8] {
        var octets = octets
        octets[place] ^= 1
        return octets
    }

    private static let others: [Attack] = [
        Attack("sealed for another status", .sealRefused("sealed.record_invalid")) {
            sealedAnswer($0.seal(body, status: 200), "404 Not Found")
        },
        Attack("sealed for another method", .sealRefused("sealed.record_invalid")) {
            sealedAnswer($0.seal(body, as: "PUT"))
        },
        Attack("sealed for another session", .sealRefused("sealed.session_mismatch")) { _ in
            let key = AnswerKey(session: [UInt8](repeating: 1, count: 16), key: [UInt8](repeating: 1, count: 32))
            return sealedAnswer(AnswerSealer.seal(body, key, status: 200, fields: []))
        },
        Attack("compressed and said so", .sealRefused("sealed.header_refused")) {
            sealedAnswer(gzipped($0.seal(body)), "200 OK", ["Content-Encoding: gzip"])
        },
        Attack("compressed and not said so", .sealRefused("sealed.header_refused")) {
            sealedAnswer(gzipped($0.seal(body)))
        },
    ]

    private static let attacks = clear + edited + others

    @Test func theAnswerItselfIsTaken() async throws {
        try await SealedScene.with({ sealedAnswer($0.seal(Self.body)) }) { scene in
            let (data, _) = try await scene.bonafide.data(for: scene.request(), answer: .sealed)
            #expect([UInt8](data) == Self.body)
        }
    }

    @Test(arguments: attacks) func eachEndsInItsError(_ attack: Attack) async throws {
        try await SealedScene.with(followsRedirects: true, { attack.reply($0) }) { scene in
            #expect(await scene.refusal() == attack.error)
            let count = scene.api.requests.count
            #expect(count == (attack.name.contains("again and again") ? 2 : 1))
            #expect(scene.cookies?.cookies?.isEmpty != false)
        }
    }

    @Test(arguments: attacks) func noneLeavesAFile(_ attack: Attack) async throws {
        try await SealedScene.with(followsRedirects: true, { attack.reply($0) }) { scene in
            let before = Self.temporaryFiles()
            await #expect(throws: attack.error) {
                try await scene.bonafide.download(for: scene.request(), answer: .sealed)
            }
            #expect(Self.temporaryFiles() == before)
        }
    }

    /// How many files there are with what this suite's answers begin with: no other test writes such.
    private static func temporaryFiles() -> Int {
        let directory = FileManager.default.temporaryDirectory
        let names = (try? FileManager.default.contentsOfDirectory(atPath: directory.path)) ?? []
        let mark = Data(body.prefix(1000))
        return names.filter { name in
            guard name.hasPrefix("bonafide-"),
                let handle = try? FileHandle(forReadingFrom: directory.appendingPathComponent(name))
            else { return false }
            defer { try? handle.close() }
            return (try? handle.read(upToCount: 1000)) == mark
        }.count
    }

    @Test func anAnswerFromBeforeIsRefused() async throws {
        let kept = Guarded<[UInt8]?>(nil)
        try await SealedScene.with({ exchange in
            let first = kept.withLock { kept in
                kept = kept ?? exchange.seal("secret")
                return kept ?? []
            }
            return sealedAnswer(first)
        }) { scene in
            let first = try await scene.ask().0
            #expect(first == "secret")
            #expect(await scene.refusal() == .sealRefused("sealed.record_invalid"))
            #expect(await scene.refusal("/api/other") == .sealRefused("sealed.record_invalid"))
        }
    }

    /// A coding that URLSession knows it undoes, one that it does not know is an error of its own or left to us.
    @Test(arguments: ["br", "aes128gcm", "x"]) func aCodingThatIsNoneIsAnError(coding: String) async throws {
        try await SealedScene.with({
            sealedAnswer($0.seal(Self.body), "200 OK", ["Content-Encoding: \(coding)"])
        }) { scene in
            do {
                _ = try await scene.ask()
                Issue.record("it was taken")
            } catch {
                #expect(error is URLError || error as? BonafideError == .sealRefused("sealed.header_refused"))
            }
        }
    }

    @Test func aConnectionThatBreaksIsAnErrorOfTheNetworkOrOfTheSeal() async throws {
        try await SealedScene.with({ exchange in
            let octets = exchange.seal(Self.body)
            return sealedAnswer(Array(octets.prefix(70_000)), length: octets.count)
        }) { scene in
            do {
                _ = try await scene.ask()
                Issue.record("it was taken")
            } catch {
                #expect(error is URLError)
            }
        }
    }

    /// A coding that a proxy may put around what it relays: blocks that are stored as they are (RFC 1951, 1952).
    private static func gzipped(_ octets: [UInt8]) -> [UInt8] {
        var coded: [UInt8] = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3]
        func little(_ value: Int, _ count: Int) -> [UInt8] {
            (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
        }
        var rest = octets[...]
        repeat {
            let block = rest.prefix(65535)
            rest = rest.dropFirst(block.count)
            coded += [rest.isEmpty ? 1 : 0] + little(block.count, 2) + little(~block.count, 2) + block
        } while !rest.isEmpty
        var crc: UInt32 = 0xFFFF_FFFF
        for octet in octets {
            crc ^= UInt32(octet)
            for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0xEDB8_8320 : crc >> 1 }
        }
        return coded + little(Int(~crc), 4) + little(octets.count, 4)
    }
}
