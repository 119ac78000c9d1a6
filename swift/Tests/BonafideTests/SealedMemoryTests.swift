import BonafideTestSupport
import Foundation
import Testing

@testable import Bonafide
@testable import BonafideCore

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

// In a process of its own, as the most memory that a process ever had is not that of one test among others.
#if os(Linux) && compiler(>=6.2)
    /// A large answer is opened from file to file, with a memory of one piece and one record.
    @Suite struct SealedMemoryTests {
        @Test func aDownloadOfAnySizeTakesTheSameMemory() async {
            await #expect(processExitsWith: .success) {
                let small = try SealedFile(octets: 1 << 20)
                defer { small.remove() }
                try small.open()
                let before = try SealedFile.peakKilobytes()
                let large = try SealedFile(octets: 64 << 20)
                defer { large.remove() }
                try large.open()
                let grown = try SealedFile.peakKilobytes() - before
                precondition(grown < 16 << 10, "\(grown) KiB more")
                // The measure itself: what is held shows.
                let held = [UInt8](try Data(contentsOf: large.sealed))
                let whole = try SealedFile.peakKilobytes() - before
                precondition(whole > 32 << 10, "\(whole) KiB more for \(held.count) octets")
            }
        }
    }

    /// A sealed answer in a file, and the proof that it answers.
    private struct SealedFile {
        let sealed = FileManager.default.temporaryDirectory.appendingPathComponent("sealed-\(UUID().uuidString)")
        private let octets: Int
        private let fields: ProofFields

        init(octets: Int) throws {
            self.octets = octets
            let crypto = PlatformCrypto()
            let session = Session(
                id: [UInt8](repeating: 1, count: 16), key: [UInt8](repeating: 2, count: 32), issuedAt: 0, expiresAt: 1)
            let head = try RequestHead(
                method: "GET", scheme: "https", authority: "api.example.com",
                target: Target(percentEncodedPath: "/file", query: nil),
                contentDigest: ContentDigest(of: [], crypto: crypto))
            fields = SessionSigner(session, crypto: crypto).prove(
                head, attestation: "jwt", created: 1, crypto: crypto)
            guard let question = fields.question, FileManager.default.createFile(atPath: sealed.path, contents: nil)
            else { throw URLError(.cannotCreateFile) }
            let key = AnswerKey(session: session.id, sessionKey: session.key, base: question.base, crypto: crypto)
            var sealer = AnswerSealer(key, status: 200, fields: [])
            let handle = try FileHandle(forWritingTo: sealed)
            try handle.write(contentsOf: sealer.header)
            let piece = [UInt8](repeating: 7, count: 1 << 18)
            for _ in 0..<(octets / piece.count) { try handle.write(contentsOf: sealer.write(piece)) }
            try handle.write(contentsOf: sealer.finish())
            try handle.close()
        }

        func open() throws {
            guard
                let response = HTTPURLResponse(
                    url: link("https://api.example.com/file"), statusCode: 200, httpVersion: "HTTP/1.1",
                    headerFields: ["Content-Type": SealedForm.contentType])
            else { throw URLError(.unknown) }
            let received = try SealedTaking(crypto: PlatformCrypto()).open(sealed, response, fields)
            guard let file = received.body else { throw URLError(.cannotOpenFile) }
            let size = try FileManager.default.attributesOfItem(atPath: file.path)[.size] as? Int
            precondition(size == octets && received.response.expectedContentLength == Int64(octets))
            try FileManager.default.removeItem(at: file)
        }

        func remove() { try? FileManager.default.removeItem(at: sealed) }

        /// The most memory that this process has had.
        static func peakKilobytes() throws -> Int {
            let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
            let line = status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
            guard let kilobytes = line?.split(separator: " ").dropLast().last.flatMap({ Int($0) }) else {
                throw URLError(.unknown)
            }
            return kilobytes
        }
    }
#endif
