import Foundation
import Glibc
import Testing

@testable import Martlet
@testable import MartletTestKit

/// Runs a bootstrap against a real shell: the plan on this side, a process on the other, pipes between them.
struct FarSide {
    /// What is executed; the first stage's command line is appended.
    var shell: [String]
    var environment: [String: String]
    var agent: FakeAgent
    var first: FirstStage
    /// What the plan is told about the round trip.
    var roundTrip: Duration = .zero
    var encodings: Set<PartEncoding> = [.raw, .gzip, .zstd]
    /// Close the input after so many bytes of the parts.
    var cutAfter: Int?
    /// Runs when the second stage reported a place, before the parts are sent.
    var beforeParts: @Sendable () -> Void = {}

    struct Outcome {
        var facts: [String: String] = [:]
        var failure: BootstrapFailure?
        var ready: [StageReport.Ready] = []
        var sent: [PartEncoding] = []
        var missing: [[Int]] = []
        var again: [PlaceFailure] = []
        var echoed = ""
        var errors = ""
        var status: Int32 = -1
        var isLinked: Bool { facts["answer"] == "7" && echoed == "ping" }
    }

    func run(deadline: Duration = .seconds(30)) throws -> Outcome {
        let end = ContinuousClock.now + deadline
        let (childIn, input) = try makePipe()
        let (output, childOut) = try makePipe()
        let errors = try Scratch()
        defer { errors.remove() }
        let errorPath = errors.path + "/stderr"
        let errorFile = open(errorPath, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        try #require(errorFile >= 0)
        defer { close(errorFile) }
        // Not Foundation's Process: its run loops and handles stay for a while, and would be taken for leaks.
        let variables = environment.map { "\($0.key)=\($0.value)" }
        let process = try HelperProcess(
            ["/usr/bin/env", "-i", "-C", "/"] + variables + shell + [first.commandLine],
            input: childIn, output: childOut, errors: errorFile)
        close(childIn)
        close(childOut)
        _ = fcntl(input, F_SETFL, O_NONBLOCK)
        var wire = Wire(input: input, output: output, end: end)
        defer {
            wire.closeInput()
            close(output)
            process.endNow()
        }
        var outcome = Outcome()
        try converse(&wire, &outcome)
        wire.closeInput()
        while process.poll() == nil, ContinuousClock.now < end { usleep(1000) }
        let ending = try #require(process.poll(), "the far side outlived its input")
        switch ending {
        case .exited(let code): outcome.status = code
        case .signalled(let signal): outcome.status = signal
        }
        outcome.errors = (try? String(contentsOfFile: errorPath, encoding: .utf8)) ?? ""
        return outcome
    }

    private func converse(_ wire: inout Wire, _ outcome: inout Outcome) throws {
        var plan = BootstrapPlan(first: first)
        var scanner = StageScanner(nonce: first.nonce)
        var isScanning = true
        while true {
            let bytes = try wire.read()
            if isScanning, let bytes {
                for event in scanner.receive(bytes) {
                    switch event {
                    case .report(.ready(let ready)): outcome.ready.append(ready)
                    case .report(.again(let failure)): outcome.again.append(failure)
                    case .report: break
                    case .hello: isScanning = false
                    }
                }
            }
            var actions = bytes.map { plan.received($0, elapsed: roundTrip) } ?? plan.ended()
            while !actions.isEmpty {
                switch actions.removeFirst() {
                case .chooseImage: actions += plan.imageChosen(agent.image, encodings: encodings)
                case .send(let text): try wire.write(Array(text.utf8))
                case .sendParts(let indexes, let encoding):
                    outcome.sent.append(encoding)
                    outcome.missing.append(indexes)
                    beforeParts()
                    let blob = try Self.encode(indexes.flatMap { agent.files[$0] }, encoding)
                    let line = SecondStage.dataLine(encoding: encoding, byteCount: blob.count)
                    try wire.write(Array(line.utf8) + blob.prefix(cutAfter ?? blob.count))
                    if cutAfter != nil { wire.closeInput() }
                // These plans have images.
                case .sendProgram: break
                case .linkUp(let remaining):
                    try talk(&wire, remaining, &outcome)
                    return
                case .fail(let failure):
                    outcome.failure = failure
                    return
                }
            }
        }
    }

    private func talk(_ wire: inout Wire, _ remaining: [UInt8], _ outcome: inout Outcome) throws {
        var text = remaining
        let mark = Array("end\n".utf8)
        while text.suffix(mark.count) != mark[...] { text += try #require(try wire.read()) }
        for line in String(decoding: text, as: UTF8.self).split(separator: "\n") {
            let halves = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if halves.count == 2 { outcome.facts[String(halves[0])] = String(halves[1]) }
        }
        try wire.write(Array("ping".utf8))
        while outcome.echoed.utf8.count < 4 {
            outcome.echoed += String(decoding: try #require(try wire.read()), as: UTF8.self)
        }
    }

    static func encode(_ bytes: [UInt8], _ encoding: PartEncoding) throws -> [UInt8] {
        if encoding == .raw { return bytes }
        let folder = try Scratch()
        defer { folder.remove() }
        try Data(bytes).write(to: URL(fileURLWithPath: folder.path + "/raw"))
        try HelperProcess.run([
            "/bin/sh", "-c", "\(encoding.rawValue) -c <\(folder.path)/raw >\(folder.path)/packed",
        ])
        return [UInt8](try Data(contentsOf: URL(fileURLWithPath: folder.path + "/packed")))
    }

    private func makePipe() throws -> (read: Int32, write: Int32) {
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        return (ends[0], ends[1])
    }
}

/// The controller's two ends, each wait with a deadline.
private struct Wire {
    private var input: Int32
    private let output: Int32
    private let end: ContinuousClock.Instant

    init(input: Int32, output: Int32, end: ContinuousClock.Instant) {
        self.input = input
        self.output = output
        self.end = end
    }

    struct TimedOut: Error {}

    /// - Returns: nil at the end.
    func read() throws -> [UInt8]? {
        try wait(output, POLLIN)
        var buffer = [UInt8](repeating: 0, count: 65536)
        let count = Glibc.read(output, &buffer, buffer.count)
        return count > 0 ? Array(buffer[..<count]) : nil
    }

    /// A far side that reads no more is no error here: what it printed tells why.
    func write(_ bytes: [UInt8]) throws {
        var pipeSignal = sigset_t()
        sigemptyset(&pipeSignal)
        sigaddset(&pipeSignal, SIGPIPE)
        var before = sigset_t()
        pthread_sigmask(SIG_BLOCK, &pipeSignal, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        var position = 0
        while position < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.write(input, $0.baseAddress! + position, bytes.count - position)
            }
            if count > 0 {
                position += count
            } else if errno == EAGAIN {
                try wait(input, POLLOUT)
            } else {
                var now = timespec()
                if errno == EPIPE { sigtimedwait(&pipeSignal, nil, &now) }
                return
            }
        }
    }

    mutating func closeInput() {
        if input >= 0 { close(input) }
        input = -1
    }

    private func wait(_ descriptor: Int32, _ events: Int32) throws {
        while ContinuousClock.now < end {
            var entry = pollfd(fd: descriptor, events: Int16(events), revents: 0)
            if poll(&entry, 1, 100) > 0 { return }
        }
        throw TimedOut()
    }
}

extension HelperProcess {
    /// Runs a program to its end.
    @discardableResult
    static func run(_ command: [String]) throws -> Ending {
        let process = try HelperProcess(command)
        while true {
            if let ending = process.poll() { return ending }
            usleep(1000)
        }
    }

    /// Kills its process group and reaps it, unless it has ended.
    func endNow() {
        signalGroup(SIGKILL)
        while poll() == nil { usleep(1000) }
    }
}
