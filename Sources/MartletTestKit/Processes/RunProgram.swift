import Glibc

/// What a program printed and how it ended.
public struct ProgramResult: Sendable {
    /// The exit code, or nil if a signal ended it.
    public let exitCode: Int32?
    /// The signal that ended it, or nil if it exited.
    public let signal: Int32?
    /// What it wrote to descriptor 1.
    public let output: String
    /// What it wrote to descriptor 2.
    public let errors: String
}

/// Runs a program to its end, in a session of its own, and returns what it printed.
///
/// - Parameters:
///   - command: The program (looked up in PATH) and its arguments.
///   - input: What it reads from descriptor 0. Default nothing.
///   - environment: Added to this process's own environment.
///   - limit: When its process group is killed. Default 30 s.
/// - Throws: ``TestKitError`` with code `unavailable` if there is no such program, `timedOut` at the limit;
///   `CancellationError` if the task is cancelled. The program has ended by then.
public func runProgram(
    _ command: [String],
    input: String = "",
    environment: [String: String] = [:],
    within limit: Duration = .seconds(30)
) async throws -> ProgramResult {
    // Files, not pipes: nobody needs to read while the program writes, so no thread and no deadlock.
    let files = try [input, "", ""].map(anonymousFile(holding:))
    defer { files.forEach { _ = close($0) } }
    let process = try HelperProcess(
        command, environment: environment, input: files[0], output: files[1], errors: files[2])
    do {
        try await require("the end of \(command.joined(separator: " "))", within: limit) { process.poll() != nil }
    } catch {
        await process.end()
        throw error
    }
    let texts = files.map { String(decoding: ProcFile.bytes("/proc/self/fd/\($0)") ?? [], as: UTF8.self) }
    switch process.poll() {
    case .exited(let code): return ProgramResult(exitCode: code, signal: nil, output: texts[1], errors: texts[2])
    case .signalled(let signal): return ProgramResult(exitCode: nil, signal: signal, output: texts[1], errors: texts[2])
    case nil: preconditionFailure("the wait above ends only with the program")
    }
}

/// Runs a tool that must succeed.
///
/// - Throws: As ``runProgram(_:input:environment:within:)``, and ``TestKitError`` with code `failed` unless it exits 0.
@discardableResult
func runTool(_ command: [String], environment: [String: String] = [:]) async throws -> String {
    let result = try await runProgram(command, environment: environment)
    guard result.exitCode == 0 else {
        let said = result.errors.isEmpty ? result.output : result.errors
        throw TestKitError(code: .failed, message: "\(command.joined(separator: " ")): \(said)")
    }
    return result.output
}

private func anonymousFile(holding text: String) throws -> Int32 {
    let name = "/tmp/martlet-\(getpid())-\(UInt64.random(in: 0 ... .max))"
    let descriptor = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else {
        throw TestKitError(code: .failed, message: "\(name): \(String(cString: strerror(errno)))")
    }
    unlink(name)
    var bytes = Array(text.utf8)[...]
    while !bytes.isEmpty {
        let written = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        guard written > 0 else { break }
        bytes = bytes.dropFirst(written)
    }
    lseek(descriptor, 0, SEEK_SET)
    return descriptor
}
