import MartletReactor

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

    /// A name, or a list of folders, in bytes.
    private static let longestText = 65_536
    private static let machines: [UInt16: String] = [
        62: "x86_64", 183: "aarch64", 40: "armv7l", 243: "riscv64", 21: "ppc64le", 22: "s390x",
    ]

    /// - Parameter byteCount: how long the file is.
    /// - Returns: `nil` if it is not a 64-bit little-endian ELF file.
    init?(_ file: OpenFile, byteCount: Int) throws(SystemError) {
        /// `nil`: so much is not there.
        func part(_ offset: Int, _ count: Int) throws(SystemError) -> [UInt8]? {
            guard offset >= 0, count >= 0, offset <= byteCount, count <= byteCount - offset else { return nil }
            return try file.bytes(offset..<offset + count)
        }
        guard let header = try part(0, 64), header.starts(with: [0x7f, 0x45, 0x4c, 0x46, 2, 1]),
            let code: UInt16 = header.load(18), let tableOffset: UInt64 = header.load(32),
            let entrySize: UInt16 = header.load(54), entrySize >= 56, let entryCount: UInt16 = header.load(56)
        else { return nil }
        machine = Self.machines[code] ?? "machine-\(code)"
        struct Segment {
            var type: UInt32
            var offset: Int
            var address: UInt64
            var size: Int
        }
        var segments: [Segment] = []
        guard let table = try part(Int(clamping: tableOffset), Int(entryCount) * Int(entrySize)) else { return nil }
        for index in 0..<Int(entryCount) {
            let base = index * Int(entrySize)
            guard let type: UInt32 = table.load(base), let offset: UInt64 = table.load(base + 8),
                let address: UInt64 = table.load(base + 16), let size: UInt64 = table.load(base + 32)
            else { return nil }
            segments.append(
                Segment(type: type, offset: Int(clamping: offset), address: address, size: Int(clamping: size)))
        }
        let ends = segments.filter { $0.type == 1 }.map { $0.offset.addingReportingOverflow($0.size) }
        guard !ends.isEmpty, ends.allSatisfy({ !$0.overflow && $0.partialValue <= byteCount }) else { return nil }
        // The header is sent whatever the segments say.
        loadedSize = max(64, ends.map(\.partialValue).max()!, Int(tableOffset) + table.count)
        isDynamic = segments.contains { $0.type == 3 }
        func fileOffset(_ address: UInt64) -> Int? {
            segments.first { $0.type == 1 && address >= $0.address && address - $0.address < UInt64($0.size) }
                .map { $0.offset + Int(address - $0.address) }
        }
        (needed, runPath) = ([], [])
        if let dynamic = segments.first(where: { $0.type == 2 }),
            let entries = try part(dynamic.offset, dynamic.size)
        {
            var neededOffsets: [UInt64] = []
            var pathOffsets: [UInt64] = []
            var strings: Int?
            var offset = 0
            while let tag: Int64 = entries.load(offset), tag != 0, let value: UInt64 = entries.load(offset + 8) {
                switch tag {
                case 1: neededOffsets.append(value)
                case 5: strings = fileOffset(value)
                case 15, 29: pathOffsets.append(value)
                default: break
                }
                offset += 16
            }
            func text(_ offset: UInt64) throws(SystemError) -> String? {
                guard let strings, offset < UInt64(byteCount - strings) else { return nil }
                var text: [UInt8] = []
                var position = strings + Int(offset)
                while position < byteCount, text.count < Self.longestText {
                    let more = try file.bytes(position..<min(position + 256, byteCount))
                    text += more.prefix { $0 != 0 }
                    if more.contains(0) { break }
                    position += more.count
                }
                return String(decoding: text, as: UTF8.self)
            }
            for offset in neededOffsets {
                if let name = try text(offset) { needed.append(name) }
            }
            for offset in pathOffsets {
                if let path = try text(offset) { runPath += path.split(separator: ":").map(String.init) }
            }
        }
        for segment in segments where segment.type == 4 {
            guard let notes = try part(segment.offset, segment.size) else { continue }
            var offset = 0
            while let nameSize: UInt32 = notes.load(offset), let contentSize: UInt32 = notes.load(offset + 4),
                let type: UInt32 = notes.load(offset + 8)
            {
                let content = offset + 12 + (Int(nameSize) + 3) & ~3
                let end = content + Int(contentSize)
                guard end <= notes.count else { break }
                if type == 3, nameSize == 4 { buildID = Array(notes[content..<end]) }
                offset = end + (4 - Int(contentSize) & 3) & 3
            }
        }
    }
}

extension [UInt8] {
    /// `nil`: it does not lie in here.
    fileprivate func load<T: FixedWidthInteger>(_ offset: Int, _ type: T.Type = T.self) -> T? {
        guard offset <= count - MemoryLayout<T>.size else { return nil }
        return withUnsafeBytes { T(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: T.self)) }
    }
}
