import Foundation
import Martlet
import MartletTestSupport

struct MakeBytes: RemoteTask {
    var count: Int
    func run(in context: RemoteContext) async throws -> [UInt8] { [UInt8](repeating: 7, count: count) }
}

enum Shape: Codable, Sendable, Hashable {
    case point
    case circle(radius: Double)
    indirect case group([Shape], name: String?)
}

struct Everything: Codable, Sendable, Hashable {
    var small: Int8 = .min
    var large: UInt64 = .max
    var real: Double = -0.1
    var text = "grüß 🐦\0\n"
    var none: Int?
    var some: Int? = 0
    var nested: [Int: [String: Bool?]] = [-7: ["a": true, "b": nil]]
    var shape = Shape.group([.point, .circle(radius: .infinity)], name: nil)
    var bytes: [UInt8] = Array(0...255)
    var flags: Set<String> = ["x", "y"]
}

struct DiskError: Error, Codable, Equatable {
    var path: String
    var code: Int
}

struct FailTyped: RemoteTask {
    var path: String
    func run(in context: RemoteContext) async throws(DiskError) -> Int { throw DiskError(path: path, code: 28) }
}

struct FailPlain: RemoteTask {
    func run(in context: RemoteContext) async throws -> Int { throw PlainError(text: "no luck") }
}

/// Its arguments encode but do not decode.
struct OneWay: RemoteTask {
    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode("not a number")
    }
    init() {}
    init(from decoder: any Decoder) throws { _ = try decoder.singleValueContainer().decode(Int.self) }
    func run(in context: RemoteContext) async throws -> Int { 0 }
}

/// A result that encodes but does not decode, or does not encode.
struct Stubborn: Codable, Sendable {
    var encodes: Bool
    init(encodes: Bool) { self.encodes = encodes }
    func encode(to encoder: any Encoder) throws {
        guard encodes else { throw PlainError(text: "will not encode") }
        var container = encoder.singleValueContainer()
        try container.encode("not a number")
    }
    init(from decoder: any Decoder) throws {
        _ = try decoder.singleValueContainer().decode(Int.self)
        encodes = true
    }
}

struct GiveStubborn: RemoteTask {
    var encodes: Bool
    func run(in context: RemoteContext) async throws -> Stubborn { Stubborn(encodes: encodes) }
}

/// Its arguments do not encode.
struct Unsendable: RemoteTask {
    init() {}
    init(from decoder: any Decoder) throws {}
    func encode(to encoder: any Encoder) throws { throw PlainError(text: "arguments will not encode") }
    func run(in context: RemoteContext) async throws -> Int { 0 }
}

/// Runs until it is cancelled, and says so.
struct WaitForCancellation: RemoteTask {
    var started: String
    var cancelled: String

    func run(in context: RemoteContext) async throws {
        Signpost.leave(started)
        do {
            try await Task.sleep(for: .seconds(3600))
        } catch {
            Signpost.leave(cancelled)
            throw error
        }
    }
}

/// Prints in all the ways that a program can.
struct Say: RemoteTask {
    enum Way: String, Codable, Sendable, CaseIterable {
        case print
        case descriptorOne
        case descriptorTwo
        case shell
        case grandchild
    }
    var way: Way
    var text: String

    func run(in context: RemoteContext) async throws {
        let line = text + "\n"
        switch way {
        case .print: Swift.print(text)
        case .descriptorOne: _ = line.withCString { write(1, $0, strlen($0)) }
        case .descriptorTwo: _ = line.withCString { write(2, $0, strlen($0)) }
        case .shell: try Shell.run("echo '\(text)'")
        case .grandchild: try Shell.run("(sh -c \"echo '\(text)' >&2\" &) ; wait")
        }
    }
}

/// `system(3)`, which Swift does not show.
enum Shell {
    static func run(_ command: String) throws {
        var pid: pid_t = 0
        var arguments: [UnsafeMutablePointer<CChar>?] = (["sh", "-c", command] as [String]).map { strdup($0) } + [nil]
        defer { arguments.forEach { free($0) } }
        guard posix_spawn(&pid, "/bin/sh", nil, nil, &arguments, environ) == 0 else {
            throw PlainError(text: "no shell")
        }
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0, errno == EINTR {}
    }
}

struct SayMuch: RemoteTask {
    var lines: Int
    func run(in context: RemoteContext) async throws {
        for number in 0..<lines { print("line \(number)") }
    }
}

/// Ends its process.
struct End: RemoteTask {
    enum Way: String, Codable, Sendable, CaseIterable {
        case exits
        case aborts
        case traps
        case isKilled
    }
    var way: Way
    var lastWords: String

    func run(in context: RemoteContext) async throws -> Int {
        let line = lastWords + "\n"
        _ = line.withCString { write(2, $0, strlen($0)) }
        switch way {
        case .exits: exit(3)
        case .aborts: abort()
        case .traps: fatalError("trapped on purpose")
        case .isKilled:
            kill(getpid(), SIGKILL)
            while true { pause() }
        }
    }
}

/// Writes without an end of line.
struct SayUnfinished: RemoteTask {
    var pipe: Int32
    var text: String
    func run(in context: RemoteContext) async throws {
        _ = text.withCString { write(pipe, $0, strlen($0)) }
    }
}
