// What a proof costs the app: medians of interleaved rounds, process CPU time, transport excluded. Prints a table, writes
// `build/bench/swift.json`, and exits with 1 where a promise is broken.
import Bonafide
import BonafideCore
import BonafideTestSupport
import Foundation

let phone = Phone()
try await phone.client.prepare()
try await phone.bonafide.prepare()
let sent = phone.service.messages
let costs = try await interleave(phone.contenders + SealedBench().contenders)
guard phone.service.messages == sent else { preconditionFailure("a fresh attestation made a network call") }

/// A row of the table: what is promised is a number of microseconds, above the raw signature or in all.
struct Row {
    let name: String
    let above: Bool
    let atMost: Double?
    /// What it is compared with.
    var versus = raw
}
let signatures = costs[raw] ?? []
let rows =
    [
        Row(name: raw, above: false, atMost: nil),
        Row(name: "hardware proof, core", above: true, atMost: 60),
        Row(name: "session proof, core", above: false, atMost: 60),
        // With what Foundation takes to make a request and to look at each character of a field: its Linux half does both.
        Row(name: "hardware proof, URLRequest", above: true, atMost: 60),
        Row(name: "session proof, URLRequest", above: false, atMost: 60),
    ]
    + SealedBench.sizes.flatMap { name, _ in
        [
            Row(name: SealedBench.raw(name), above: false, atMost: nil, versus: SealedBench.raw(name)),
            Row(name: SealedBench.opening(name), above: false, atMost: nil, versus: SealedBench.raw(name)),
        ]
    }
var kept = true
var entries: [JSON] = []
print("\nswift (\(rounds) interleaved rounds, process CPU, medians)")
for row in rows {
    let taken = costs[row.name] ?? []
    let cost = median(taken)
    // Round by round, since the machine changes its pace between them.
    let own = row.above ? median(zip(taken, signatures).map { $0 - $1 }) : cost
    let holds = row.atMost.map { own <= $0 } ?? true
    kept = kept && holds
    let promise = row.atMost.map { "  (at most \(Int($0)): \(holds ? "holds" : "BROKEN"))" } ?? ""
    let times = row.versus == raw || row.versus == row.name ? nil : cost / median(costs[row.versus] ?? [cost])
    let over =
        row.above
        ? String(format: ", %.2f us above the raw signature", own)
        : times.map { String(format: ", %.2f times the raw AES-GCM", $0) } ?? ""
    let name = row.name.padding(toLength: 30, withPad: " ", startingAt: 0)
    print("  \(name)" + String(format: "%8.2f us", cost) + over + promise)
    entries.append([
        "name": .string(row.name), "us_per_op": .number((cost * 1000).rounded() / 1000), "versus": .string(row.versus),
        "ratio": .number((cost / median(costs[row.versus] ?? [cost]) * 10000).rounded() / 10000),
        "above_us": row.above ? .number((own * 1000).rounded() / 1000) : .null,
    ])
}
try FileManager.default.createDirectory(atPath: "build/bench", withIntermediateDirectories: true)
try Data(JSON.array(entries).octets).write(to: URL(fileURLWithPath: "build/bench/swift.json"))
exit(kept ? 0 : 1)
