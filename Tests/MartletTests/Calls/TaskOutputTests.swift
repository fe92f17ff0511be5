@preconcurrency import Glibc
import MartletTestKit
import MartletTestSupport
import Testing

@testable import Martlet

/// Prints in all the ways that belong to a task, and one that does not.
struct PrintLines: RemoteTask {
    var name: String
    var count: Int
    func run(in context: RemoteContext) async throws {
        for number in 0..<count {
            print(name, number)
            fputs("\(name) error \(number)\n", stderr)
            await Task.yield()
        }
        fputs("\(name) unfinished", stdout)
        let raw = Array("\(name) raw\n".utf8)
        _ = write(1, raw, raw.count)
    }
}

@Suite(.leakChecked) struct TaskOutputTests {
    @Test(arguments: Way.available)
    func `What tasks print at once goes to each one's own channel`(way: Way) async throws {
        let log = OutputLog()
        try await withContext(way, log.options) { context in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for name in ["a", "b", "c"] {
                    group.addTask {
                        let (here, there) = context.makeChannel(sending: Never.self, receiving: OutputLine.self)
                        async let task: Void = context.call(PrintLines(name: name, count: 300), output: there)
                        var output: [String] = []
                        var errors: [String] = []
                        for try await line in here {
                            if line.pipe == .output { output.append(line.text) } else { errors.append(line.text) }
                        }
                        try await task
                        #expect(output == (0..<300).map { "\(name) \($0)" } + ["\(name) unfinished"])
                        #expect(errors == (0..<300).map { "\(name) error \($0)" })
                    }
                }
                try await group.waitForAll()
            }
            try await context.call(PrintLines(name: "plain", count: 1))
            await eventually { log.line(with: "plain 0") != nil && log.line(with: "c raw") != nil }
            #expect(log.line(with: "a 0") == nil)
        }
    }

    @Test func `Who does not read what a task prints holds that task up, and no other`() async throws {
        try await withLocalContext { _, context in
            let (here, there) = context.makeChannel(sending: Never.self, receiving: OutputLine.self)
            let task = Task { try await context.call(PrintLines(name: "many", count: 40_000), output: there) }
            for number in 0..<20 {
                #expect(try await context.call(Add(a: number, b: 1), deadline: .seconds(10)) == number + 1)
            }
            var count = 0
            for try await _ in here { count += 1 }
            try await task.value
            #expect(count == 80_001)
        }
    }

    @Test func `When the reader is gone the task prints on`() async throws {
        try await withLocalContext { _, context in
            let (here, there) = context.makeChannel(sending: Never.self, receiving: OutputLine.self)
            here.close()
            try await context.call(PrintLines(name: "lost", count: 20_000), deadline: .seconds(20), output: there)
        }
    }
}
