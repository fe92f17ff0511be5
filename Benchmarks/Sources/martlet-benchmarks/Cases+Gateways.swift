import Martlet
import MartletFleet

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

extension Cases {
    /// Ten gateways with many members each, all of them local contexts, and a file of 10 MB for all: what this process writes.
    static func gateways(_ martlet: Controller, _ options: Options) async throws -> Sample {
        let (count, size) = (10, 10_000_000)
        let members = count * options.count(100)
        raiseDescriptorLimit(to: members * 8)
        var groupOptions = GroupOptions()
        groupOptions.gateways = try (1...count).map { try MemberSpec("local", name: "gw\($0)") }
        groupOptions.connect.deadline = .seconds(120)
        let group = try martlet.group(
            try (1...members).map { try MemberSpec("local", name: "m\($0)") }, options: groupOptions)
        let (_, connect) = try await time { try await group.connect().get() }
        var put = TransferOptions()
        (put.isDurable, put.createsParents) = (false, true)
        let folder = "\(options.folder)/members"
        let bytes = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31 ^ $0 >> 8) }
        let before = try bytesWritten()
        let (results, duration) = try await time {
            try await group.put(bytes: bytes, to: "\(folder)/{host}", options: put)
        }
        let written = try bytesWritten() - before
        guard try results.get().allSatisfy({ $0.byteCount == size }) else { throw BenchmarkError("a file is short") }
        await group.close()
        return [
            "connect": connect.inSeconds, "seconds": duration.inSeconds,
            "copies": Double(written) / Double(size * count),
        ]
    }

    /// By this process so far, to whatever.
    private static func bytesWritten() throws -> Int {
        guard let file = fopen("/proc/self/io", "re") else { throw BenchmarkError("no /proc/self/io") }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 256)
        while fgets(&line, Int32(line.count), file) != nil {
            let words = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
                .split(whereSeparator: \.isWhitespace)
            if words.first == "wchar:", let count = words.last.flatMap({ Int($0) }) { return count }
        }
        throw BenchmarkError("/proc/self/io says nothing of what was written")
    }
}
