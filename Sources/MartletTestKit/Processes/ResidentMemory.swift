import Glibc

/// What of a process is in memory, in bytes; 0 if it has ended.
///
/// - Parameters:
///   - pid: Default this process.
///   - peak: the most there has been, instead of what is there now.
package func residentMemory(of pid: Int32 = getpid(), peak: Bool = false) -> Int {
    let field = peak ? "VmHWM:" : "VmRSS:"
    let line = ProcFile.text("/proc/\(pid)/status")?.split(separator: "\n").first { $0.hasPrefix(field) }
    // In units of 1,024 bytes, whatever it says.
    return (line?.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) } ?? 0) * 1024
}
