import Foundation

@testable import Bonafide
@testable import BonafideCore

/// Runs the system's openssl.
enum OpenSSL {
    struct Failure: Error {
        let said: String
    }

    static let program = "/usr/bin/openssl"
    /// Coreutils' program that ends another after so many seconds.
    static let timeout = "/usr/bin/timeout"
    static var isHere: Bool { [program, timeout].allSatisfy(FileManager.default.isExecutableFile(atPath:)) }

    /// Returns what it wrote. Throws where it says that it failed.
    static func run(_ words: [String], in directory: URL, input: String = "") throws -> String {
        let process = make(words, in: directory)
        let (given, written, errors) = (Pipe(), Pipe(), Pipe())
        process.standardInput = given
        process.standardOutput = written
        process.standardError = errors
        try process.run()
        try given.fileHandleForWriting.write(contentsOf: Data(input.utf8))
        try given.fileHandleForWriting.close()
        let said = written.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw Failure(said: String(decoding: errors.fileHandleForReading.availableData, as: UTF8.self))
        }
        return String(decoding: said, as: UTF8.self)
    }

    static func make(_ words: [String], in directory: URL) -> Process {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = words
        process.currentDirectoryURL = directory
        return process
    }
}

/// A kind of key, in openssl's words, and how many octets of a SubjectPublicKeyInfo's end Apple's systems export.
enum ServerKey: CaseIterable {
    case rsa2048, p256, p384

    var words: [String] {
        switch self {
        case .rsa2048: ["-newkey", "rsa:2048"]
        case .p256: ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
        case .p384: ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp384r1"]
        }
    }

    /// Of the whole structure and of the key in it: the only thing here that is written down instead of read.
    private var octets: (info: Int, key: Int) {
        switch self {
        case .rsa2048: (294, 270)
        case .p256: (91, 65)
        case .p384: (120, 97)
        }
    }

    init?(info: [UInt8]) {
        guard let kind = Self.allCases.first(where: { $0.octets.info == info.count }) else { return nil }
        self = kind
    }

    func exported(_ info: [UInt8]) -> [UInt8] { Array(info.suffix(octets.key)) }
}

/// A CA of the test's own, in a directory of its own.
final class TestCA: Sendable {
    let directory: URL

    init() throws {
        directory = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        let words = [
            "req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=Test CA", "-keyout", "ca.key", "-out", "ca.pem",
        ]
        _ = try OpenSSL.run(words + ServerKey.p256.words, in: directory)
    }

    deinit { try? FileManager.default.removeItem(at: directory) }

    /// The pin of the CA's own key.
    func pin() throws -> String { try Self.pin(of: "ca.pem", in: directory) }

    /// SHA-256 of a certificate's SubjectPublicKeyInfo in base64, by openssl's reading of both.
    static func pin(of file: String, in directory: URL) throws -> String {
        let key = try OpenSSL.run(["x509", "-in", file, "-pubkey", "-noout"], in: directory)
        try Data(key.utf8).write(to: directory.appendingPathComponent("key.pem"))
        _ = try OpenSSL.run(["pkey", "-pubin", "-in", "key.pem", "-outform", "DER", "-out", "key.der"], in: directory)
        _ = try OpenSSL.run(["dgst", "-sha256", "-binary", "-out", "key.sha256", "key.der"], in: directory)
        return try Data(contentsOf: directory.appendingPathComponent("key.sha256")).base64EncodedString()
    }
}

/// A TLS server on loopback that shows a certificate of a CA, and answers every request with 200.
final class TLSServer: @unchecked Sendable {  // nothing changes once it runs
    let port: Int
    /// The pin of the key that it shows.
    let pin: String
    private let process: Process

    init(_ host: String, key: ServerKey, by ca: TestCA) throws {
        let name = UUID().uuidString
        let words = [
            "req", "-x509", "-nodes", "-days", "1", "-CA", "ca.pem", "-CAkey", "ca.key", "-subj", "/CN=\(host)",
            "-addext", "subjectAltName=DNS:\(host)", "-addext", "basicConstraints=critical,CA:FALSE",
            "-keyout", "\(name).key", "-out", "\(name).pem",
        ]
        _ = try OpenSSL.run(words + key.words, in: ca.directory)
        pin = try TestCA.pin(of: "\(name).pem", in: ca.directory)
        // Tests that crash end nothing: it ends by itself then.
        process = OpenSSL.make(
            ["--signal", "KILL", "120", OpenSSL.program] + [
                "s_server", "-accept", "0", "-www", "-cert", "\(name).pem", "-key", "\(name).key",
                "-cert_chain", "ca.pem",
            ], in: ca.directory)
        process.executableURL = URL(fileURLWithPath: OpenSSL.timeout)
        let written = Pipe()
        process.standardOutput = written
        process.standardError = FileHandle.nullDevice
        process.standardInput = FileHandle.nullDevice
        try process.run()
        var said = ""
        var found: Int?
        while found == nil {
            let more = written.fileHandleForReading.availableData
            guard !more.isEmpty else { throw OpenSSL.Failure(said: said) }
            said += String(decoding: more, as: UTF8.self)
            // "ACCEPT [::]:41234", and a line end after it
            found = said.firstMatch(of: /ACCEPT .*:([0-9]+)\n/).flatMap { Int($0.1) }
        }
        port = found ?? 0
    }

    /// By a signal that nobody can block, since children inherit what the threads of tests block; and the whole group
    /// that `timeout` makes.
    deinit { kill(-process.processIdentifier, SIGKILL) }
}
