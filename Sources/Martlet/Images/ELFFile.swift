/// What we need to know of an ELF executable or library, read from its own headers.
struct ELFFile {
    /// `uname -m` of the machines that run it.
    var machine: String
    /// It needs the system's loader.
    var isDynamic: Bool
    /// What is loaded ends here: everything behind (symbols, debug information) need not be sent.
    var loadedSize: Int
    var buildID: [UInt8]?
    var needed: [String]
    /// `DT_RUNPATH` or `DT_RPATH`, split.
    var runPath: [String]

    private static let machines: [UInt16: String] = [
        62: "x86_64", 183: "aarch64", 40: "armv7l", 243: "riscv64", 21: "ppc64le", 22: "s390x",
    ]

    /// - Returns: `nil` if the bytes are not a 64-bit little-endian ELF file.
    init?(_ bytes: UnsafeRawBufferPointer) {
        func load<T: FixedWidthInteger>(_ offset: Int, _ type: T.Type = T.self) -> T? {
            guard offset >= 0, offset <= bytes.count - MemoryLayout<T>.size else { return nil }
            return T(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: T.self))
        }
        guard bytes.count >= 64, bytes.prefix(4).elementsEqual([0x7f, 0x45, 0x4c, 0x46]), bytes[4] == 2, bytes[5] == 1,
            let code: UInt16 = load(18), let tableOffset: UInt64 = load(32), let entrySize: UInt16 = load(54),
            let entryCount: UInt16 = load(56)
        else { return nil }
        machine = Self.machines[code] ?? "machine-\(code)"
        struct Segment {
            var type: UInt32
            var offset: Int
            var address: UInt64
            var size: Int
        }
        var segments: [Segment] = []
        for index in 0..<Int(entryCount) {
            let base = Int(clamping: tableOffset) + index * Int(entrySize)
            guard let type: UInt32 = load(base), let offset: UInt64 = load(base + 8),
                let address: UInt64 = load(base + 16), let size: UInt64 = load(base + 32)
            else { return nil }
            segments.append(
                Segment(type: type, offset: Int(clamping: offset), address: address, size: Int(clamping: size)))
        }
        let ends = segments.filter { $0.type == 1 }.map { $0.offset.addingReportingOverflow($0.size) }
        guard !ends.isEmpty, ends.allSatisfy({ !$0.overflow && $0.partialValue <= bytes.count }) else { return nil }
        loadedSize = max(
            ends.map(\.partialValue).max()!,
            Int(clamping: tableOffset) + Int(entryCount) * Int(entrySize)
        )
        isDynamic = segments.contains { $0.type == 3 }
        func fileOffset(_ address: UInt64) -> Int? {
            segments.first { $0.type == 1 && address >= $0.address && address - $0.address < UInt64($0.size) }
                .map { $0.offset + Int(address - $0.address) }
        }
        (needed, runPath) = ([], [])
        if let dynamic = segments.first(where: { $0.type == 2 }) {
            var neededOffsets: [UInt64] = []
            var pathOffsets: [UInt64] = []
            var strings: Int?
            var offset = dynamic.offset
            while offset < dynamic.offset + dynamic.size, let tag: Int64 = load(offset), tag != 0,
                let value: UInt64 = load(offset + 8)
            {
                switch tag {
                case 1: neededOffsets.append(value)
                case 5: strings = fileOffset(value)
                case 15, 29: pathOffsets.append(value)
                default: break
                }
                offset += 16
            }
            func text(_ offset: UInt64) -> String? {
                guard let strings, let start = Optional(strings + Int(clamping: offset)), start < bytes.count else {
                    return nil
                }
                return String(decoding: bytes[start...].prefix { $0 != 0 }, as: UTF8.self)
            }
            needed = neededOffsets.compactMap(text)
            runPath = pathOffsets.compactMap(text).flatMap { $0.split(separator: ":").map(String.init) }
        }
        for segment in segments where segment.type == 4 {
            var offset = segment.offset
            while offset + 12 <= segment.offset + segment.size, let nameSize: UInt32 = load(offset),
                let contentSize: UInt32 = load(offset + 4), let type: UInt32 = load(offset + 8)
            {
                let content = offset + 12 + (Int(nameSize) + 3) & ~3
                let end = content + Int(contentSize)
                guard end <= bytes.count else { break }
                if type == 3, nameSize == 4 { buildID = Array(bytes[content..<end]) }
                offset = end + (4 - Int(contentSize) & 3) & 3
            }
        }
    }
}
