import Glibc
import MartletTestKit
import Synchronization
import Testing

@testable import MartletReactor

/// Not the type of the same name in Testing.
typealias Ending = MartletReactor.ExitStatus

/// How a program ended, and what it printed.
struct Finished {
    var status: Ending
    var output: String
}

/// A request with descriptors from and to nowhere but, perhaps, one pipe for the output.
func request(
    _ path: String,
    _ arguments: [String] = [],
    environment: [String] = ["PATH=/usr/bin:/bin"],
    directory: String? = nil,
    output: Int32? = nil,
    newSession: Bool = false,
    nice: Int32 = 0
) -> SpawnRequest {
    SpawnRequest(
        path: path,
        arguments: [path] + arguments,
        environment: environment,
        directory: directory,
        descriptors: (nowhere, output ?? nowhere, 2),
        newSession: newSession,
        nice: nice
    )
}

func shell(_ script: String, output: Int32? = nil, newSession: Bool = false, nice: Int32 = 0) -> SpawnRequest {
    request("/bin/sh", ["-c", script], output: output, newSession: newSession, nice: nice)
}

/// Opened once for all tests.
let nowhere = open("/dev/null", O_RDWR | O_CLOEXEC)

/// Runs a program to its end.
func run(
    on reactor: Reactor,
    usingProcessDescriptor: Bool = true,
    _ make: (_ output: Int32) -> SpawnRequest
) async throws -> Finished {
    let pipe = try Pipe()
    let status = Mutex<Ending?>(nil)
    let ended = Flag()
    do {
        defer { closeDescriptor(pipe.writeEnd) }
        do {
            _ = try ChildProcess.spawn(
                make(pipe.writeEnd), reactor: reactor, usingProcessDescriptor: usingProcessDescriptor
            ) { ending in
                status.withLock { $0 = ending }
                ended.set()
            }
        } catch {
            closeDescriptor(pipe.readEnd)
            throw error
        }
    }
    let output = try await readAll(pipe.readEnd, reactor)
    await eventually("the end of the program") { ended.isSet }
    return Finished(
        status: status.withLock { $0 } ?? .exited(-1), output: String(decoding: output, as: UTF8.self))
}
