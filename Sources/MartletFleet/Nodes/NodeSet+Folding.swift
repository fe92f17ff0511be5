extension NodeSet {
    /// Many names in few characters: `db1,web[01-20,30]`. Sorted, with each name once; ``init(_:groups:)`` reads it back.
    ///
    /// Names with more than one number fold in each of them: `rack[1-2]node[1-4]`.
    public static func fold(_ names: some Sequence<String>) -> String {
        var shapes: [[UInt8]: [[[UInt8]]]] = [:]
        var others: Set<[UInt8]> = []
        for name in Set(names) {
            let bytes = Array(name.utf8)
            guard let (shape, numbers) = split(bytes), !numbers.isEmpty else {
                others.insert(bytes)
                continue
            }
            shapes[shape, default: []].append(numbers)
        }
        var folded: [(key: [UInt8], text: [UInt8])] = others.map { ($0, $0) }
        for (shape, members) in shapes {
            for numbers in fold(members) { folded.append((shape, join(shape, numbers))) }
        }
        folded.sort { first, second in
            first.key == second.key
                ? natural(first.text, second.text) : first.key.lexicographicallyPrecedes(second.key)
        }
        return String(decoding: Array(folded.map(\.text).joined(separator: [UInt8(ascii: ",")])), as: UTF8.self)
    }

    /// A name's text with a zero for each number, and the numbers; `nil` if it cannot stand in a pattern.
    private static func split(_ name: [UInt8]) -> (shape: [UInt8], numbers: [[UInt8]])? {
        var (shape, numbers): ([UInt8], [[UInt8]]) = ([], [])
        shape.reserveCapacity(name.count)
        var index = 0
        while index < name.count {
            let byte = name[index]
            switch byte {
            case 48...57:
                let end = name[index...].firstIndex { !(48...57).contains($0) } ?? name.count
                // More digits than a range can have are a text.
                if end - index <= 9 {
                    shape.append(0)
                    numbers.append(Array(name[index..<end]))
                } else {
                    shape += name[index..<end]
                }
                index = end
            case 0...32, 127, UInt8(ascii: "["), UInt8(ascii: "]"), UInt8(ascii: ","), UInt8(ascii: "!"),
                UInt8(ascii: "&"), UInt8(ascii: "^"):
                return nil
            default:
                shape.append(byte)
                index += 1
            }
        }
        return (shape, numbers)
    }

    private static func join(_ shape: [UInt8], _ numbers: [[UInt8]]) -> [UInt8] {
        var rest = numbers.makeIterator()
        return shape.flatMap { $0 == 0 ? rest.next()! : [$0] }
    }

    /// The last number of each first, where all before it are the same; then the one before, and so on.
    private static func fold(_ members: [[[UInt8]]]) -> [[[UInt8]]] {
        var members = members
        for place in members[0].indices.reversed() {
            guard members.count > 1 else { break }
            var alike: [[[UInt8]]: [[UInt8]]] = [:]
            for member in members {
                var key = member
                key[place] = []
                alike[key, default: []].append(member[place])
            }
            members = alike.map { key, numbers in
                var member = key
                member[place] = ranges(numbers)
                return member
            }
        }
        return members
    }

    /// `1`, or `[01-20,30]`.
    private static func ranges(_ numbers: [[UInt8]]) -> [UInt8] {
        if numbers.count == 1 { return numbers[0] }
        func value(_ digits: [UInt8]) -> Int { digits.reduce(0) { $0 * 10 + Int($1 - 48) } }
        func hasZeros(_ digits: [UInt8]) -> Bool { digits.count > 1 && digits[0] == 48 }
        // 10 stands with 09, and with 9: whoever has zeros in front draws those of the same width to them.
        let padded = Set(numbers.filter(hasZeros).map(\.count))
        let sorted = numbers.map { (width: padded.contains($0.count) ? $0.count : 0, value: value($0), digits: $0) }
            .sorted { ($0.value, $0.width) < ($1.value, $1.width) }
        var open: [Int: (first: [UInt8], last: [UInt8], value: Int)] = [:]
        var runs: [(value: Int, width: Int, text: [UInt8])] = []
        func close(_ width: Int) {
            guard let run = open.removeValue(forKey: width) else { return }
            let text = run.first == run.last ? run.first : run.first + [UInt8(ascii: "-")] + run.last
            runs.append((value(run.first), width, text))
        }
        for number in sorted {
            if let run = open[number.width], run.value + 1 == number.value {
                open[number.width] = (run.first, number.digits, number.value)
            } else {
                close(number.width)
                open[number.width] = (number.digits, number.digits, number.value)
            }
        }
        for width in Array(open.keys) { close(width) }
        runs.sort { ($0.value, $0.width) < ($1.value, $1.width) }
        return [UInt8(ascii: "[")] + runs.map(\.text).joined(separator: [UInt8(ascii: ",")]) + [UInt8(ascii: "]")]
    }

    /// Numbers by their value, all else by its bytes.
    private static func natural(_ first: [UInt8], _ second: [UInt8]) -> Bool {
        var (i, j) = (0, 0)
        while i < first.count, j < second.count {
            if (48...57).contains(first[i]), (48...57).contains(second[j]) {
                let (a, b) = (number(first, &i), number(second, &j))
                if a != b { return a.count == b.count ? a.lexicographicallyPrecedes(b) : a.count < b.count }
            } else {
                if first[i] != second[j] { return first[i] < second[j] }
                i += 1
                j += 1
            }
        }
        return first.count - i < second.count - j
    }

    private static func number(_ text: [UInt8], _ index: inout Int) -> ArraySlice<UInt8> {
        let end = text[index...].firstIndex { !(48...57).contains($0) } ?? text.count
        defer { index = end }
        return text[index..<end].drop { $0 == 48 }
    }
}
